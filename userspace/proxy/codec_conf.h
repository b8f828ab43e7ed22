/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Settings of protocols (protocolSettings) as codecs are given them: made on the control thread when a snapshot comes, by the
 * protocol's rows, and carried by it. A connection holds those that it began with, whatever snapshots come.
 */
#pragma once
#include "model/snapshot.h"
#include "weft/proto.h"

/* Control thread. The snapshot must not have been sent yet. before: the one sent last, or NULL. */
void codec_confs_attach(struct snapshot *s, const struct snapshot *before);
/*
 * Any thread that holds the snapshot, for a connection that speaks ops; l, c are its facts. The struct of its rows,
 * held; NULL: the protocol takes none. Where the fact's settings are another protocol's, as with `detect`, the protocol's defaults.
 */
const void *codec_conf_of_listener(const struct snapshot *s, const struct listener *l, const struct proto_ops *ops);
const void *codec_conf_of_cluster(const struct snapshot *s, const struct cluster_fact *c, const struct proto_ops *ops);
void codec_conf_drop(const void *conf);         /* any thread; NULL is allowed */
