/**
 * The content of a file: extents that are inline, regular, reserved or missing, compressed or not.
 *
 * @see https://btrfs.readthedocs.io/en/latest/dev/On-disk-format.html, section "EXTENT_DATA"
 * @module
 */
import type { AbortOptions, Bytes, DiskReader } from '@granary/core'
import { mappedDisk } from '../../disk/mapped-disk.ts'
import type { Piece } from '../../disk/mapped-disk.ts'
import { corrupt, unsupported } from '../../errors.ts'
import type { Fields } from '../../format/fields.ts'
import { decompressExtent } from './compression.ts'
import type { Btrfs } from './btrfs.ts'
import { ITEM } from './keys.ts'
import { itemAtMost, itemsOfType } from './tree-reader.ts'
import type { TreeRoot } from './tree-reader.ts'

const TYPE = { inline: 0, regular: 1, reserved: 2 } as const
const INLINE_OFFSET = 21
const MAX_WINDOW = 128
const MAX_COMPRESSED_BYTES = 128 * 1024

interface FileExtent {
  readonly start: number
  readonly length: number
  readonly fields: Fields
}

interface Window {
  readonly extents: readonly FileExtent[]
  readonly from: number
  readonly to: number
}

export const fileContent = (btrfs: Btrfs, root: TreeRoot, ino: number, sizeBytes: number): DiskReader => {
  const where = `inode ${ino}`
  let window: Window | undefined
  let last: { fields: Fields; bytes: Bytes } | undefined
  const plainOf = async (extent: FileExtent, options: AbortOptions): Promise<Bytes> => {
    if (last?.fields !== extent.fields)
      last = {
        fields: extent.fields,
        bytes: await readCompressed(btrfs, extent.fields, `${where}, extent at ${extent.start}`, options),
      }
    return last.bytes
  }
  return mappedDisk({
    sizeBytes,
    blockBytes: btrfs.sb.sectorBytes,
    where,
    asksBelow: false,
    async locate(offset, options): Promise<Piece> {
      if (window === undefined || offset < window.from || offset >= window.to)
        window = await readWindow(btrfs, root, ino, offset, options)
      const index = window.extents.findLastIndex(({ start }) => start <= offset)
      const extent = window.extents[index]
      if (extent === undefined || offset >= extent.start + extent.length) {
        const next = window.extents[index + 1]?.start ?? window.to
        return { kind: 'hole', length: Math.min(next, sizeBytes) - offset }
      }
      const skip = offset - extent.start
      const length = Math.min(extent.length - skip, sizeBytes - offset)
      return pieceOf(btrfs, extent, { skip, length }, plainOf)
    },
  })
}

/** Extents around an offset, so that a run of small ones costs one descent. */
const readWindow = async (
  btrfs: Btrfs,
  root: TreeRoot,
  ino: number,
  offset: number,
  options: AbortOptions,
): Promise<Window> => {
  const object = BigInt(ino)
  const before = await itemAtMost(btrfs.store, root, { object, type: ITEM.extentData, offset: BigInt(offset) }, options)
  const isOwn = before?.key.object === object && before.key.type === ITEM.extentData
  const from = { object, type: ITEM.extentData, offset: isOwn ? before.key.offset : BigInt(offset) }
  const extents: FileExtent[] = []
  let end = 0
  for await (const { key, data } of itemsOfType(btrfs.store, root, from, options)) {
    if (key.offset > BigInt(Number.MAX_SAFE_INTEGER)) break
    const start = Number(key.offset)
    if (extents.length >= MAX_WINDOW) return { extents, from: Math.min(offset, extents[0]?.start ?? offset), to: start }
    if (start < end) throw corrupt(data.where, `an extent from ${end} on`, start)
    const length = extentLength(data, btrfs.sb.sectorBytes)
    extents.push({ start, length, fields: data })
    end = start + length
  }
  return { extents, from: Math.min(offset, extents[0]?.start ?? offset), to: Infinity }
}

const extentLength = (fields: Fields, sectorBytes: number): number => {
  const type = fields.u8(20)
  const length = type === TYPE.inline ? Math.ceil(fields.u64(8) / sectorBytes) * sectorBytes : fields.u64(45)
  if (type > TYPE.reserved || length === 0)
    throw corrupt(fields.where, 'an extent of some length', `${length}, type ${type}`)
  return length
}

const pieceOf = (
  btrfs: Btrfs,
  extent: FileExtent,
  { skip, length }: { skip: number; length: number },
  plainOf: (extent: FileExtent, options: AbortOptions) => Promise<Bytes>,
): Piece => {
  const { fields } = extent
  if (fields.u8(17) !== 0 || fields.u16(18) !== 0) throw unsupported(fields.where, 'an encoding other than compression')
  const type = fields.u8(20)
  const isCompressed = fields.u8(16) !== 0
  if (type === TYPE.reserved) return { kind: 'zero', length }
  if (type === TYPE.inline) {
    const make = async (options: AbortOptions): Promise<Bytes> => (await plainOf(extent, options)).subarray(skip)
    return { kind: 'made', length, make }
  }
  const address = fields.u64(INLINE_OFFSET)
  const inExtent = fields.u64(37) + skip
  if (address === 0) return { kind: 'hole', length }
  if (!isCompressed) return { kind: 'disk', length, disk: btrfs.store.disk, offset: address + inExtent }
  if (inExtent + length > fields.u64(8))
    throw corrupt(fields.where, `an extent of ${inExtent + length} bytes`, fields.u64(8))
  return { kind: 'made', length, make: async options => (await plainOf(extent, options)).subarray(inExtent) }
}

/** An inline or compressed extent as it was written, zeros up to its end. */
const readCompressed = async (btrfs: Btrfs, fields: Fields, where: string, options: AbortOptions): Promise<Bytes> => {
  const { sectorBytes } = btrfs.sb
  const method = fields.u8(16)
  const plainBytes = fields.u64(8)
  if (plainBytes > MAX_COMPRESSED_BYTES) throw corrupt(where, `at most ${MAX_COMPRESSED_BYTES} bytes`, plainBytes)
  if (fields.u8(20) === TYPE.inline) {
    const bytes = fields.slice(INLINE_OFFSET, fields.length - INLINE_OFFSET)
    const padded = new Uint8Array(Math.ceil(plainBytes / sectorBytes) * sectorBytes)
    padded.set(
      method === 0 ? bytes.subarray(0, padded.length) : decompressExtent(bytes, method, plainBytes, sectorBytes, where),
    )
    return padded
  }
  const diskBytes = fields.u64(29)
  if (diskBytes > 2 * MAX_COMPRESSED_BYTES) throw corrupt(where, `at most ${2 * MAX_COMPRESSED_BYTES} bytes`, diskBytes)
  const bytes = new Uint8Array(diskBytes)
  await btrfs.store.disk.read(fields.u64(INLINE_OFFSET), bytes, options)
  return decompressExtent(bytes, method, plainBytes, sectorBytes, where)
}
