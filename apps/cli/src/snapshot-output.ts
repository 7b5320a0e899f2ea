/** Snapshots for people and for programs. @module */
import type { Snapshot } from '@granary/dedup-store'

/** What `--json` prints of a snapshot; fields are only ever added. */
export const snapshotObject = (snapshot: Snapshot): object => ({
  type: 'snapshot',
  v: 1,
  id: snapshot.id,
  name: snapshot.name,
  time: new Date(snapshot.timeMs).toISOString(),
  host: snapshot.host,
  kind: snapshot.backupKind,
  parent: snapshot.parent,
  labels: snapshot.labels,
  disks: snapshot.disks.map(disk => ({
    name: disk.name,
    sizeBytes: disk.sizeBytes,
    source: disk.source,
    dataBytes: disk.stats.dataBytes,
    newBytes: disk.stats.newBytes,
    storedBytes: disk.stats.storedBytes,
  })),
  warnings: snapshot.warnings,
  // Only what is signed by the key it names is ever read: whether that key counts is another question.
  signed: true,
  verified: snapshot.signedBy.isVerified,
  signedBy: snapshot.signedBy.kind,
  ...(snapshot.signedBy.name === undefined ? {} : { signerName: snapshot.signedBy.name }),
})

/** Who signed it, in a word or two. */
export const signerOf = ({ signedBy: { kind, name, isVerified } }: Snapshot): string => {
  if (kind === 'unknown') return 'NOT VERIFIED'
  const who = kind === 'holder' && name === undefined ? 'key holder' : `${kind} ${name ?? ''}`
  return isVerified ? who : `REVOKED ${who}`
}

export const shortId = (id: string): string => id.slice(0, 8)

export const formatTime = (timeMs: number): string => new Date(timeMs).toISOString().replace('T', ' ').slice(0, 19)

export const sumOf = (snapshot: Snapshot, field: 'dataBytes' | 'newBytes' | 'storedBytes' | 'readBytes'): number =>
  snapshot.disks.reduce((sum, disk) => sum + disk.stats[field], 0)
