/** Writes headers. Every field and every extension that was read is written again, also those we know nothing of. @module */
import type { Bytes } from '@granary/core'
import {
  AUTOCLEAR,
  COMPATIBLE,
  EXTENSION,
  INCOMPATIBLE,
  MAGIC,
  MAX_NAME_BYTES,
  unsupported,
  viewOf,
  writeU64,
} from './format.ts'
import { AT } from './header.ts'
import type { Encryption, Qcow2Header } from './header.ts'
import type { HeaderExtension } from './header-extensions.ts'

const SECTOR_BYTES = 512

/** With the compression type and seven bytes of padding. */
const HEADER_BYTES = 112

const CRYPT: Readonly<Record<Encryption, number>> = { none: 0, aes: 1, luks: 2 }

/** Kind, bit and name, as QEMU writes them. */
const FEATURE_NAMES: readonly (readonly [number, number, string])[] = [
  [0, 0, 'dirty bit'],
  [0, 1, 'corrupt bit'],
  [0, 2, 'external data file'],
  [0, 3, 'compression type'],
  [0, 4, 'extended L2 entries'],
  [1, 0, 'lazy refcounts'],
  [2, 0, 'bitmaps'],
  [2, 1, 'raw external data'],
]

/** At least what we know, rounded up as extensions must stand. */
const headerLengthOf = ({ unknown }: Qcow2Header): number =>
  Math.max(HEADER_BYTES, Math.ceil((AT.endCompressionType + unknown.fields.length) / 8) * 8)

/**
 * The fixed fields of a header of version 3: those we know fit into one sector, which reaches the disk whole or not at all.
 *
 * @see QEMU docs/interop/qcow2.txt, "Additional fields": those that are not known are to be preserved
 */
const encodeFields = (header: Qcow2Header, backing: { offset: number; length: number }): Bytes => {
  const bytes = new Uint8Array(headerLengthOf(header))
  const view = viewOf(bytes)
  bytes.set(header.unknown.fields, AT.endCompressionType)
  view.setUint32(AT.magic, MAGIC)
  view.setUint32(AT.version, 3)
  writeU64(view, AT.backingOffset, backing.offset)
  view.setUint32(AT.backingLength, backing.length)
  view.setUint32(AT.clusterBits, header.clusterBits)
  writeU64(view, AT.size, header.sizeBytes)
  view.setUint32(AT.crypt, CRYPT[header.encryption])
  view.setUint32(AT.l1Entries, header.l1.entries)
  writeU64(view, AT.l1Offset, header.l1.offset)
  writeU64(view, AT.refcountOffset, header.refcounts.offset)
  view.setUint32(AT.refcountClusters, header.refcounts.clusters)
  view.setUint32(AT.snapshotCount, header.snapshots.entries)
  writeU64(view, AT.snapshotOffset, header.snapshots.offset)
  writeU64(view, AT.incompatible, incompatibleBits(header))
  const compatible = header.hasLazyRefcounts ? COMPATIBLE.lazyRefcounts : 0
  view.setBigUint64(AT.compatible, header.unknown.compatible | BigInt(compatible))
  const autoclear =
    (header.bitmaps === undefined ? 0 : AUTOCLEAR.bitmaps) | (header.isDataFileRaw ? AUTOCLEAR.dataFileRaw : 0)
  writeU64(view, AT.autoclear, autoclear)
  view.setUint32(AT.refcountOrder, header.refcounts.order)
  view.setUint32(AT.headerLength, bytes.length)
  view.setUint8(AT.compressionType, header.compression === 'zstd' ? 1 : 0)
  return bytes
}

const incompatibleBits = (header: Qcow2Header): number =>
  (header.isDirty ? INCOMPATIBLE.dirty : 0) |
  (header.isCorrupt ? INCOMPATIBLE.corrupt : 0) |
  (header.hasDataFile ? INCOMPATIBLE.dataFile : 0) |
  (header.compression === 'zstd' ? INCOMPATIBLE.compressionType : 0) |
  (header.hasExtendedL2 ? INCOMPATIBLE.extendedL2 : 0)

/**
 * The start of an image, in whole sectors: fields, extensions, the name of the backing file.
 *
 * @throws GranaryError `GRANARY_UNSUPPORTED` when they do not fit into a cluster
 */
export const encodeHeader = (header: Qcow2Header): Bytes => {
  const bytes = new Uint8Array(header.clusterBytes)
  const name = Buffer.from(header.backingName ?? '')
  const needed = extensionsOf(header)
  const features = { type: EXTENSION.featureNames, data: encodeFeatureNames() }
  const headerLength = headerLengthOf(header)
  const room = header.clusterBytes - headerLength - name.length - 8
  const isRoomy = lengthOf(needed) + lengthOf([features]) <= room
  if (lengthOf(needed) > room || name.length > MAX_NAME_BYTES)
    throw unsupported('the name of the backing file does not fit into the first cluster', {
      clusterBytes: header.clusterBytes,
    })
  let at = headerLength
  for (const { type, data } of isRoomy ? [...needed, features] : needed) {
    viewOf(bytes).setUint32(at, type)
    viewOf(bytes).setUint32(at + 4, data.length)
    bytes.set(data, at + 8)
    at += 8 + Math.ceil(data.length / 8) * 8
  }
  at += 8 // The end marker is all zeros.
  bytes.set(name, at)
  bytes.set(encodeFields(header, backingPlace(name.length, at)))
  return bytes.subarray(0, Math.ceil((at + name.length) / SECTOR_BYTES) * SECTOR_BYTES)
}

const backingPlace = (length: number, offset: number): { offset: number; length: number } =>
  length === 0 ? { offset: 0, length: 0 } : { offset, length }

const lengthOf = (extensions: readonly HeaderExtension[]): number =>
  extensions.reduce((sum, { data }) => sum + 8 + Math.ceil(data.length / 8) * 8, 0)

/** What changes most stands first, so that it shares its sector with the fields. */
const extensionsOf = (header: Qcow2Header): HeaderExtension[] => {
  const ours: HeaderExtension[] = []
  if (header.bitmaps !== undefined) {
    const data = new Uint8Array(24)
    viewOf(data).setUint32(0, header.bitmaps.count)
    writeU64(viewOf(data), 8, header.bitmaps.lengthBytes)
    writeU64(viewOf(data), 16, header.bitmaps.offset)
    ours.push({ type: EXTENSION.bitmaps, data })
  }
  if (header.backingName !== undefined && header.backingFormat !== undefined)
    ours.push({ type: EXTENSION.backingFormat, data: Buffer.from(header.backingFormat) })
  if (header.dataFileName !== undefined)
    ours.push({ type: EXTENSION.dataFileName, data: Buffer.from(header.dataFileName) })
  const written: readonly number[] = [
    EXTENSION.bitmaps,
    EXTENSION.backingFormat,
    EXTENSION.dataFileName,
    EXTENSION.featureNames,
  ]
  return [...ours, ...header.extensions.filter(({ type }) => !written.includes(type))]
}

const encodeFeatureNames = (): Bytes => {
  const bytes = new Uint8Array(FEATURE_NAMES.length * 48)
  FEATURE_NAMES.forEach(([kind, bit, name], index) => {
    bytes[index * 48] = kind
    bytes[index * 48 + 1] = bit
    bytes.set(Buffer.from(name), index * 48 + 2)
  })
  return bytes
}
