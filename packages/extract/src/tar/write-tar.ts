/** Extracts files to a tar archive. @module */
import { GranaryError, isGranaryError } from '@granary/core'
import type { Bytes, DiskReader } from '@granary/core'
import { bytesOfName } from '@granary/guestfs'
import type { Stat, Xattr } from '@granary/guestfs'
import { dataRangesOf, readPieces } from '../content.ts'
import { countStreams } from '../items.ts'
import type { ExtractItem, ExtractStep } from '../items.ts'
import { emptyReport, isFatal } from '../report.ts'
import type { ExtractOptions, ExtractReport } from '../report.ts'
import { targetNames } from '../target-names.ts'
import { BLOCK_BYTES, encodeHeader, fitsName, largest, padding } from './header.ts'
import type { TarHeader } from './header.ts'
import { encodePax, paxTime } from './pax.ts'
import type { PaxRecords } from './pax.ts'
import { sparseMapOf } from './sparse-map.ts'
import type { SparseMap } from './sparse-map.ts'
import type { TarSink } from './tar-sink.ts'

/** Files up to this size are read before anything of them is written: one that can't be read leaves no trace. */
const READ_FIRST_BYTES = 4 * 1024 * 1024

/** Further names remembered at most; beyond, they become files of their own. */
const MAX_LINKS = 1_000_000

export interface TarOptions extends ExtractOptions {
  /** Store files with holes of 1 MiB and more as sparse ones; else holes are zeros. @default true */
  readonly sparse?: boolean
}

interface Job {
  readonly sink: TarSink
  readonly options: TarOptions
  readonly report: ExtractReport
  /** Paths of files with several names. */
  readonly links: Map<string, Bytes>
}

/**
 * Writes all files as a PAX archive. A file that can't be read is left out; where its beginning was written already and
 * the target takes nothing back, the archive ends there with an error, so that no reader takes it for whole.
 *
 * @param sink stays the caller's
 * @throws GranaryError when the target can't be written to
 */
export const writeTar = async (
  steps: AsyncIterable<ExtractStep>,
  sink: TarSink,
  options: TarOptions = {},
): Promise<ExtractReport> => {
  const report = emptyReport()
  const job: Job = { sink, options, report, links: new Map() }
  for await (const step of steps) {
    options.signal?.throwIfAborted()
    const start = sink.position
    const doneBytes = report.bytes
    try {
      if (step.kind === 'error') throw step.error
      await addOne(job, step)
    } catch (error) {
      options.signal?.throwIfAborted()
      if (isFatal(error)) throw error
      await takeBack(sink, start, step.path.text, error)
      report.bytes = doneBytes
      report.failed++
      options.onError?.(step.path.text, error)
    }
    options.onProgress?.({ path: step.path.text, doneBytes: report.bytes, files: report.files })
  }
  await sink.write(new Uint8Array(2 * BLOCK_BYTES))
  return report
}

const takeBack = async (sink: TarSink, start: number, path: string, error: unknown): Promise<void> => {
  if (sink.position === start) return
  if (sink.truncate !== undefined) return await sink.truncate(start)
  throw new GranaryError(
    isGranaryError(error) ? error.code : 'GRANARY_IO',
    `${path} can't be read to its end, and what was written of it can't be taken back: the archive ends here`,
    {
      detail: { path },
      cause: error,
      hint: 'extract to a file or a folder: there such a file is left out, and the others follow',
    },
  )
}

const addOne = async (job: Job, item: ExtractItem): Promise<void> => {
  const names = targetNames(item.path)
  if (names.length === 0) return
  const { report, links } = job
  const { stat, linkKey } = item
  const path = Buffer.from(bytesOfName(item.path))
  switch (stat.type) {
    case 'dir':
      await addMember(job, item, { type: 'dir', path: Buffer.concat([path, Buffer.from('/')]) })
      report.folders++
      return
    case 'symlink': {
      const linkName = bytesOfName(await item.tree.readlink(item.node, job.options))
      await addMember(job, item, { type: 'symlink', path, linkName })
      report.symlinks++
      return
    }
    case 'socket':
      report.leftOut++
      return
    case 'chr':
    case 'blk':
    case 'fifo':
      await addMember(job, item, { type: stat.type, path })
      report.others++
      return
    case 'file':
      break
  }
  const linkName = linkKey === undefined ? undefined : links.get(linkKey)
  if (linkName !== undefined) {
    await addMember(job, item, { type: 'hardLink', path, linkName })
    report.hardLinks++
    return
  }
  await addFile(job, item, path)
  if (linkKey !== undefined && links.size < MAX_LINKS) links.set(linkKey, path)
  report.files++
}

interface Member {
  readonly type: TarHeader['type']
  readonly path: Bytes
  readonly linkName?: Bytes
  readonly sizeBytes?: number
  readonly records?: PaxRecords
}

/** Writes the header of a member, with what it has no room for before it. */
const addMember = async (job: Job, item: ExtractItem, member: Member): Promise<void> => {
  const { sink, options, report } = job
  const { tree, node, stat } = item
  if (member.type !== 'hardLink') report.leftOut += await countStreams(item, options)
  const xattrs = member.type === 'hardLink' ? [] : await tree.xattrs(node, options)
  const { path, linkName, sizeBytes = 0, records = [] } = member
  const pax = [...records, ...recordsOf(stat, member, sizeBytes), ...xattrs.flatMap(xattr => xattrRecord(xattr, job))]
  const header = encodeHeader({
    type: member.type,
    name: path,
    ...(linkName === undefined ? {} : { linkName }),
    mode: stat.mode ?? (stat.type === 'dir' ? 0o755 : 0o644),
    uid: stat.uid ?? 0,
    gid: stat.gid ?? 0,
    sizeBytes,
    mtime: Number((stat.mtime ?? 0n) / 1_000_000_000n),
    ...(stat.rdev === undefined ? {} : { device: stat.rdev }),
  })
  for (const bytes of [...encodePax(pax), header]) await sink.write(bytes)
}

const recordsOf = (stat: Stat, { path, linkName }: Member, sizeBytes: number): PaxRecords => {
  const { uid = 0, gid = 0, mtime = 0n } = stat
  const names = [
    ...(fitsName(path) ? [] : [['path', path] as const]),
    ...(linkName === undefined || fitsName(linkName) ? [] : [['linkpath', linkName] as const]),
  ]
  // Names are UTF-8 unless it is said that they are bytes; libarchive composes the accents of those that are UTF-8.
  const isBinary = names.some(([, value]) => !isComposedUtf8(value))
  const isPlainTime = mtime % 1_000_000_000n === 0n && mtime >= 0n && mtime / 1_000_000_000n <= BigInt(largest('mtime'))
  return [
    ...(isBinary ? [['hdrcharset', 'BINARY'] as const] : []),
    ...names,
    ...(uid > largest('id') ? [['uid', String(uid)] as const] : []),
    ...(gid > largest('id') ? [['gid', String(gid)] as const] : []),
    ...(sizeBytes > largest('size') ? [['size', String(sizeBytes)] as const] : []),
    ...(isPlainTime ? [] : [['mtime', paxTime(mtime)] as const]),
  ]
}

const isComposedUtf8 = (bytes: Bytes): boolean => {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    return text.normalize('NFC') === text
  } catch {
    return false
  }
}

/** As GNU tar and libarchive write them. A name with `=`, or that is no text, has no place in a record. */
const xattrRecord = ({ name, value }: Xattr, { report }: Job): PaxRecords => {
  if (!name.text.includes('=') && name.bytes === undefined) return [[`SCHILY.xattr.${name.text}`, value]]
  report.leftOut++
  return []
}

const addFile = async (job: Job, item: ExtractItem, path: Bytes): Promise<void> => {
  const { options } = job
  const file = await item.tree.open(item.node, options)
  const map = options.sparse === false ? undefined : await sparseMapOf(file, options)
  if (map === undefined) await addWhole(job, item, path, file)
  else await addSparse(job, item, path, file, map)
}

const addWhole = async (job: Job, item: ExtractItem, path: Bytes, file: DiskReader): Promise<void> => {
  const { sink, options } = job
  const { sizeBytes } = file
  let content: AsyncIterable<Bytes> | Bytes[] = contentOf(file, job)
  if (sizeBytes <= READ_FIRST_BYTES) {
    const bytes = new Uint8Array(sizeBytes)
    await file.read(0, bytes, options)
    content = [bytes]
  }
  await addMember(job, item, { type: 'file', path, sizeBytes })
  await addContent(job, item, content)
  await sink.write(padding(sizeBytes))
}

/** All bytes, holes too, which are not asked for. */
async function* contentOf(file: DiskReader, { options }: Job): AsyncGenerator<Bytes, void, undefined> {
  let at = 0
  const zeros = new Uint8Array(Math.min(1024 * 1024, file.sizeBytes))
  for await (const { offset, bytes } of readPieces(file, dataRangesOf(file, options), options)) {
    for (; at < offset; at += Math.min(zeros.length, offset - at))
      yield zeros.subarray(0, Math.min(zeros.length, offset - at))
    yield bytes
    at = offset + bytes.length
  }
  for (; at < file.sizeBytes; at += zeros.length) yield zeros.subarray(0, Math.min(zeros.length, file.sizeBytes - at))
}

const addContent = async (
  { sink, report, options }: Job,
  item: ExtractItem,
  content: AsyncIterable<Bytes> | Iterable<Bytes>,
): Promise<void> => {
  for await (const bytes of content) {
    await sink.write(bytes)
    report.bytes += bytes.length
    options.onProgress?.({ path: item.path.text, doneBytes: report.bytes, files: report.files })
  }
}

const SPARSE_FOLDER = 'GNUSparseFile.0/'

/** A reader that knows no sparse files shows the map and the data under a name that says so. */
const addSparse = async (job: Job, item: ExtractItem, path: Bytes, file: DiskReader, map: SparseMap): Promise<void> => {
  const { sink, options } = job
  const slash = path.lastIndexOf(0x2f) + 1
  const shown = Buffer.concat([path.subarray(0, slash), Buffer.from(SPARSE_FOLDER), path.subarray(slash)])
  const sizeBytes = map.bytes.length + map.dataBytes
  await addMember(job, item, {
    type: 'file',
    path: shown,
    sizeBytes,
    records: [
      ['GNU.sparse.major', '1'],
      ['GNU.sparse.minor', '0'],
      ['GNU.sparse.name', path],
      ['GNU.sparse.realsize', String(file.sizeBytes)],
    ],
  })
  await sink.write(map.bytes)
  await addContent(job, item, piecesOf(file, map, options))
  await sink.write(padding(sizeBytes))
}

async function* piecesOf(
  file: DiskReader,
  { ranges }: SparseMap,
  options: TarOptions,
): AsyncGenerator<Bytes, void, undefined> {
  for await (const { bytes } of readPieces(file, ranges, options)) yield bytes
}
