/** Internal snapshots. @see QEMU docs/interop/qcow2.txt, section "Snapshots" @module */
import type { Bytes } from '@granary/core'
import {
  MAX_L1_BYTES,
  MAX_SNAPSHOT_EXTRA_BYTES,
  MAX_SNAPSHOT_TABLE_BYTES,
  corrupt,
  overLimit,
  readU64,
  viewOf,
} from './format.ts'
import type { Qcow2Header, TablePlace } from './header.ts'
import type { RandomFile } from './random-file.ts'

export interface Qcow2Snapshot {
  /** Unique in the image. */
  readonly id: string
  readonly name: string
  readonly takenAt: Date
  /** Virtual size when it was taken, bytes. */
  readonly sizeBytes: number
  /** Saved memory of the machine, bytes; 0 for a disk-only snapshot. */
  readonly vmStateBytes: number
}

/** A snapshot and where its L1 table stands. */
export interface SnapshotEntry {
  readonly snapshot: Qcow2Snapshot
  readonly l1: TablePlace
  /** Where the entry ends, bytes from the start of the table. */
  readonly endBytes: number
}

/** Field offsets of an entry, bytes. */
const AT = {
  l1Offset: 0, //      u64
  l1Entries: 8, //     u32
  idLength: 12, //     u16
  nameLength: 14, //   u16
  seconds: 16, //      u32
  nanoseconds: 20, //  u32
  vmClock: 24, //      u64
  vmStateBytes: 32, // u32
  extraLength: 36, //  u32
  end: 40, //          then: extra data, id, name, padding to 8
} as const

/** Of the extra data. */
const EXTRA_AT = { vmStateBytes: 0, diskBytes: 8 } as const

/** Larger than any entry can be: 40 + 1024 + two texts of 65535 bytes. */
const WINDOW_BYTES = 256 * 1024

/**
 * Reads the snapshot table.
 *
 * @throws GranaryError `GRANARY_CORRUPT` when it is damaged, `GRANARY_LIMIT` when it is longer than 64 MiB
 */
export const readSnapshots = async (file: RandomFile, header: Qcow2Header): Promise<SnapshotEntry[]> => {
  const entries: SnapshotEntry[] = []
  let window: Bytes = new Uint8Array()
  let windowAt = header.snapshots.offset
  for (let at = windowAt; entries.length < header.snapshots.entries;) {
    if (at - header.snapshots.offset > MAX_SNAPSHOT_TABLE_BYTES) throw overLimit('the snapshot table exceeds 64 MiB')
    if (at - windowAt + WINDOW_BYTES / 2 > window.length) {
      window = new Uint8Array(Math.max(0, Math.min(WINDOW_BYTES, file.sizeBytes - at)))
      windowAt = at
      if (window.length > 0) await file.read(at, window)
    }
    const { entry, lengthBytes } = readEntry(window.subarray(at - windowAt), header)
    at += Math.ceil(lengthBytes / 8) * 8
    entries.push({ ...entry, endBytes: at - header.snapshots.offset })
  }
  return entries
}

const readEntry = (
  bytes: Bytes,
  header: Qcow2Header,
): { entry: Omit<SnapshotEntry, 'endBytes'>; lengthBytes: number } => {
  if (bytes.length < AT.end) throw corrupt('the snapshot table reaches past the end of the file')
  const view = viewOf(bytes)
  const extraLength = view.getUint32(AT.extraLength)
  if (extraLength > MAX_SNAPSHOT_EXTRA_BYTES) throw corrupt(`a snapshot with ${extraLength} bytes of extra data`)
  const idAt = AT.end + extraLength
  const nameAt = idAt + view.getUint16(AT.idLength)
  const end = nameAt + view.getUint16(AT.nameLength)
  if (end > bytes.length) throw corrupt('the snapshot table reaches past the end of the file')
  const text = (from: number, to: number): string => Buffer.from(bytes.subarray(from, to)).toString('utf8')
  const id = text(idAt, nameAt)
  const sizeBytes = extraLength >= 16 ? readU64(view, AT.end + EXTRA_AT.diskBytes) : header.sizeBytes
  if (!Number.isSafeInteger(sizeBytes)) throw overLimit(`snapshot ${JSON.stringify(id)} is larger than 2^53 - 1 bytes`)
  const snapshot: Qcow2Snapshot = {
    id,
    name: text(nameAt, end),
    takenAt: new Date(view.getUint32(AT.seconds) * 1000 + Math.floor(view.getUint32(AT.nanoseconds) / 1e6)),
    sizeBytes: sizeBytes - (sizeBytes % 512),
    vmStateBytes: extraLength >= 8 ? readU64(view, AT.end + EXTRA_AT.vmStateBytes) : view.getUint32(AT.vmStateBytes),
  }
  return { entry: { snapshot, l1: readL1Place(view, header, id) }, lengthBytes: end }
}

const readL1Place = (view: DataView, { clusterBytes }: Qcow2Header, id: string): TablePlace => {
  const offset = readU64(view, AT.l1Offset)
  const entries = view.getUint32(AT.l1Entries)
  if (entries > MAX_L1_BYTES / 8 || offset % clusterBytes !== 0 || !Number.isSafeInteger(offset))
    throw corrupt(`the L1 table of snapshot ${JSON.stringify(id)} is invalid`, { offset, entries })
  return { offset, entries }
}

/** The snapshot of that id, or else of that name. */
export const findSnapshot = (entries: readonly SnapshotEntry[], wanted: string): SnapshotEntry | undefined =>
  entries.find(({ snapshot }) => snapshot.id === wanted) ?? entries.find(({ snapshot }) => snapshot.name === wanted)
