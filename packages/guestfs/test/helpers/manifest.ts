/** What a real driver saw in an image, and whether a tree shows the same. @module */
import { createHash } from 'node:crypto'
import type { DiskReader } from '@granary/core'
import { bytesOfName } from '../../src/index.ts'
import type { FileTree, Stat, WalkItem } from '../../src/index.ts'

export interface ManifestEntry {
  readonly path: string
  readonly path_hex?: string
  readonly type: Stat['type']
  readonly ino: number
  readonly size?: number
  readonly mode: string
  readonly uid: number
  readonly gid: number
  readonly mtime: string
  readonly ctime?: string
  readonly btime?: string
  readonly nlink: number
  readonly blocks512: number
  readonly sha256?: string
  readonly target?: string
  readonly rdev?: readonly [number, number]
  readonly xattrs?: Readonly<Record<string, { b64?: string; size?: number; sha256?: string; unreadable_here?: string }>>
  readonly data_ranges?: readonly (readonly [number, number])[]
  readonly data_range_count?: number
  readonly range_sha256?: readonly (readonly [number, number, string])[]
  readonly encrypted?: boolean
  readonly ntfs?: { readonly attrib?: string; readonly times_filetime?: Readonly<Record<string, string>> }
  readonly target_note?: string
}

export interface ManifestVolume {
  readonly id: string
  readonly fs: string | null
  readonly expect: string
  readonly source: {
    readonly disk?: number
    readonly disks?: readonly number[]
    readonly offset?: number
    readonly size?: number
    readonly partition?: number
    readonly whole_disk?: boolean
    readonly lv?: string
    readonly md?: string
  }
  readonly note?: string
  readonly codepage?: string
  readonly raw_sha256?: string
  readonly lv_size?: number
  readonly entries?: readonly ManifestEntry[]
  /** Nanoseconds: times from here on were made by the replay of a log, at the time of the mount. */
  readonly madeUpFrom?: bigint
}

export interface Manifest {
  readonly name: string
  readonly volumes: readonly ManifestVolume[]
}

/** Which fields a file system really keeps; the others are made up by the driver that listed it. */
export type Rules = 'unix' | 'fat' | 'fat-by-mtools' | 'ntfs' | 'by-driver'

const READ_BYTES = 1 << 20

/** Differences as sentences; none when the tree is what the manifest says. */
export const differences = async (tree: FileTree, volume: ManifestVolume, rules: Rules): Promise<string[]> => {
  const found: string[] = []
  const wanted = new Map((volume.entries ?? []).map(entry => [keyOf(entry), entry]))
  const encrypted = new Set([...wanted].filter(([, entry]) => entry.encrypted).map(([key]) => key))
  for await (const item of tree.walk({ snapshots: true })) {
    const key = Buffer.from(bytesOfName(item.path)).toString('hex')
    const entry = wanted.get(key)
    if (item.kind === 'error') {
      if (!encrypted.has(key)) found.push(`${item.path.text}: ${String(item.error)}`)
      continue
    }
    if (entry === undefined) {
      found.push(`${item.path.text}: is not in the manifest`)
      continue
    }
    wanted.delete(key)
    try {
      for (const difference of await entryDifferences(tree, item, entry, rules, volume.madeUpFrom))
        found.push(`${entry.path}: ${difference}`)
    } catch (error) {
      found.push(`${entry.path}: ${String(error)}`)
    }
  }
  for (const { path } of wanted.values()) found.push(`${path}: is missing`)
  return found
}

const keyOf = ({ path, path_hex }: ManifestEntry): string => path_hex ?? Buffer.from(path).toString('hex')

const entryDifferences = async (
  tree: FileTree,
  { node, stat }: Extract<WalkItem, { kind: 'entry' }>,
  entry: ManifestEntry,
  rules: Rules,
  madeUpFrom?: bigint,
): Promise<string[]> => {
  const differ: string[] = []
  const compare = (what: string, found: unknown, wanted: unknown): void => {
    if (madeUpFrom !== undefined && /^[cm]time$/.test(what) && BigInt(String(wanted)) >= madeUpFrom) return
    if (JSON.stringify(found) !== JSON.stringify(wanted))
      differ.push(`${what} is ${JSON.stringify(found)} instead of ${JSON.stringify(wanted)}`)
  }
  if (rules === 'ntfs') return await ntfsDifferences(tree, node, stat, entry, compare, differ)
  compare('type', stat.type, entry.type)
  if (entry.encrypted) compare('isEncrypted', stat.isEncrypted, true)
  if (stat.type === 'file' || stat.type === 'symlink') compare('size', stat.sizeBytes, entry.size)
  compareTimes(compare, tree, stat, entry, rules)
  if (rules === 'unix') {
    compareInode(compare, stat, entry)
    compare('xattrs', await xattrsOf(tree, node, entry), entry.xattrs)
  }
  if (entry.target !== undefined) compare('target', (await tree.readlink(node)).text, entry.target)
  if (entry.type !== 'file') return differ
  // Drivers of FUSE know no holes.
  const { data_ranges: _, ...whole } = entry
  await compareContent(compare, await tree.open(node), rules === 'by-driver' ? whole : entry)
  return differ
}

/** Reparse points that ntfs-3g shows as links to an error message are files here, whose content can't be read. */
const ntfsDifferences = async (
  tree: FileTree,
  node: Parameters<FileTree['open']>[0],
  stat: Stat,
  entry: ManifestEntry,
  compare: Compare,
  differ: string[],
): Promise<string[]> => {
  const isForeign = entry.target?.startsWith('unsupported reparse tag') ?? false
  compare('type', stat.type, isForeign ? 'file' : entry.type)
  compare('ino', stat.ino, entry.ino)
  const filetime = (time: bigint | undefined): string => String((time ?? 0n) / 100n + 116_444_736_000_000_000n)
  const { mtime, ctime, atime, btime: crtime } = stat
  for (const [name, time] of Object.entries({ mtime, ctime, atime, crtime }))
    compare(name, filetime(time), entry.ntfs?.times_filetime?.[name])
  compare('attributes', stat.dosAttributes, Number(entry.ntfs?.attrib))
  if (entry.type === 'file') {
    compare('size', stat.sizeBytes, entry.size)
    await compareContent(compare, await tree.open(node), entry)
  } else if (!isForeign && entry.target !== undefined && entry.target_note === undefined)
    compare('target', (await tree.readlink(node)).text, entry.target)
  await compareStreams(tree, node, entry, compare)
  return differ
}

const compareStreams = async (
  tree: FileTree,
  node: Parameters<FileTree['open']>[0],
  entry: ManifestEntry,
  compare: Compare,
): Promise<void> => {
  const streams: Record<string, unknown> = {}
  for (const { name } of await tree.streams(node)) {
    const file = await tree.open(node, { stream: name.text })
    const bytes = new Uint8Array(file.sizeBytes)
    await file.read(0, bytes)
    const wanted = entry.xattrs?.[`user.${name.text}`]
    streams[`user.${name.text}`] =
      wanted?.b64 === undefined
        ? { size: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') }
        : { b64: Buffer.from(bytes).toString('base64') }
  }
  const names = Object.keys(entry.xattrs ?? {})
  compare('streams', Object.keys(streams).sort(), names.sort())
  for (const name of names) {
    // Too large for the driver to show as an attribute.
    if (entry.xattrs?.[name]?.unreadable_here === undefined)
      compare(`stream ${name}`, streams[name], entry.xattrs?.[name])
  }
}

type Compare = (what: string, found: unknown, wanted: unknown) => void

const compareTimes = (compare: Compare, tree: FileTree, stat: Stat, entry: ManifestEntry, rules: Rules): void => {
  // A subvolume's placeholder in a snapshot has none, and Linux shows the time of the mount.
  if (tree.fileSystem === 'btrfs' && entry.ino === 2) return
  // A FAT root has no entry and so no times; drivers make some up.
  if (rules !== 'unix' && entry.path === '/') return
  // The driver of FUSE rounds as it likes.
  if (rules === 'by-driver' && tree.fileSystem === 'exfat') return
  if (rules === 'fat-by-mtools') {
    compare('mtime', String(stat.mtime), String((BigInt(entry.mtime) / 2_000_000_000n) * 2_000_000_000n))
    return
  }
  compare('mtime', String(stat.mtime), entry.mtime)
  if (entry.btime !== undefined) compare('btime', String(stat.btime), entry.btime)
  if (rules === 'unix') compare('ctime', String(stat.ctime), entry.ctime)
}

const compareInode = (compare: Compare, stat: Stat, entry: ManifestEntry): void => {
  compare('mode', stat.mode?.toString(8).padStart(4, '0'), entry.mode)
  compare('uid', stat.uid, entry.uid)
  compare('gid', stat.gid, entry.gid)
  compare('nlink', stat.nlink, entry.nlink)
  compare('ino', stat.ino, entry.ino)
  compare('blocks', (stat.allocatedBytes ?? 0) / 512, entry.blocks512)
  compare('rdev', stat.rdev && [stat.rdev.major, stat.rdev.minor], entry.rdev)
}

const xattrsOf = async (
  tree: FileTree,
  node: Parameters<FileTree['xattrs']>[0],
  entry: ManifestEntry,
): Promise<ManifestEntry['xattrs']> => {
  const xattrs = await tree.xattrs(node)
  if (xattrs.length === 0) return undefined
  const byName = new Map(xattrs.map(({ name, value }) => [name.text, value]))
  // In the manifest's order, so that text can be compared.
  const names = [...new Set([...Object.keys(entry.xattrs ?? {}), ...byName.keys()])].filter(name => byName.has(name))
  return Object.fromEntries(
    names.map(name => {
      const value = byName.get(name) as Uint8Array
      if (entry.xattrs?.[name]?.b64 !== undefined) return [name, { b64: Buffer.from(value).toString('base64') }]
      return [name, { size: value.length, sha256: createHash('sha256').update(value).digest('hex') }]
    }),
  )
}

const compareContent = async (compare: Compare, file: DiskReader, entry: ManifestEntry): Promise<void> => {
  if (entry.sha256 !== undefined) compare('sha256', await hashOf(file, 0, file.sizeBytes), entry.sha256)
  for (const [offset, length, hash] of entry.range_sha256 ?? [])
    compare(`sha256 at ${offset}`, await hashOf(file, offset, length), hash)
  if (entry.data_ranges === undefined) return
  const ranges = await dataRanges(file)
  compare('number of data ranges', ranges.length, entry.data_range_count)
  compare('data ranges', ranges.slice(0, entry.data_ranges.length), entry.data_ranges)
}

/** SHA-256 of a range, hex. */
export const hashOf = async (file: DiskReader, offset: number, length: number): Promise<string> => {
  const hash = createHash('sha256')
  const buffer = new Uint8Array(Math.min(READ_BYTES, length))
  for (let done = 0; done < length;) {
    const part = buffer.subarray(0, Math.min(buffer.length, length - done))
    await file.read(offset + done, part)
    hash.update(part)
    done += part.length
  }
  return hash.digest('hex')
}

/** As SEEK_DATA and SEEK_HOLE tell them. */
const dataRanges = async (file: DiskReader): Promise<[number, number][]> => {
  const ranges: [number, number][] = []
  for await (const { kind, offset, length } of file.extents()) {
    const last = ranges.at(-1)
    if (kind !== 'data') continue
    if (last !== undefined && last[0] + last[1] === offset) last[1] += length
    else ranges.push([offset, length])
  }
  return ranges
}
