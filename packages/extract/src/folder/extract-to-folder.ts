/** Extracts files to a folder. @module */
import { mkdir, symlink } from 'node:fs/promises'
import type { Bytes } from '@granary/core'
import { bytesOfName } from '@granary/guestfs'
import type { Stat, Xattr } from '@granary/guestfs'
import { countStreams } from '../items.ts'
import type { ExtractItem, ExtractStep } from '../items.ts'
import { emptyReport, isFatal, onTarget } from '../report.ts'
import type { ExtractOptions, ExtractReport } from '../report.ts'
import { targetNames } from '../target-names.ts'
import { setAttributes } from './attributes.ts'
import type { Attributes, Place, Refused } from './attributes.ts'
import { FolderStack } from './folder-stack.ts'
import { loadLibc } from './libc.ts'
import type { Libc } from './libc.ts'
import { LinkTable } from './link-table.ts'
import { openFolder } from './open-folder.ts'
import type { OpenFolder } from './open-folder.ts'
import { openOwnersLog, pathFields } from './owners-log.ts'
import type { OwnersLog, OwnersRow } from './owners-log.ts'
import { tryMakeNode } from './make-node.ts'
import type { NodeType } from './make-node.ts'
import { writeFile } from './write-file.ts'

export interface FolderOptions extends ExtractOptions {
  /** Make device nodes too, where this user may. A guest chose what they lead to. @default false */
  readonly devices?: boolean
  /** Calls that Node lacks; null does without. @default those of this system */
  readonly libc?: Libc | null
}

/** What one extraction works with. */
interface Job {
  readonly options: FolderOptions
  readonly report: ExtractReport
  readonly stack: FolderStack
  readonly links: LinkTable
  readonly owners: OwnersLog
  readonly libc: Libc | undefined
}

/**
 * Extracts to a folder, which is made where it isn't there. Nothing that exists is overwritten, and nothing outside of
 * the folder is touched, whatever names and links say; a file is complete or not there. What this user may not set is
 * kept in `.granary-owners.jsonl`, for `applyOwners`.
 *
 * @throws GranaryError when the target can't be written to at all; failures of single files go to `onError`
 */
export const extractToFolder = async (
  steps: AsyncIterable<ExtractStep>,
  path: string,
  options: FolderOptions = {},
): Promise<ExtractReport> => {
  const libc = options.libc === undefined ? await loadLibc() : (options.libc ?? undefined)
  await onTarget(`making the folder ${path}`, () => mkdir(path, { recursive: true }))
  await using root = await openFolder(path)
  await using owners = await openOwnersLog(root)
  const report = emptyReport()
  await using stack = new FolderStack(root, true)
  const job: Job = { options, report, stack, links: new LinkTable(root), owners, libc }
  for await (const step of steps) {
    options.signal?.throwIfAborted()
    try {
      if (step.kind === 'error') throw step.error
      await extractOne(job, step)
    } catch (error) {
      options.signal?.throwIfAborted()
      if (isFatal(error)) throw error
      report.failed++
      options.onError?.(step.path.text, error)
    }
    options.onProgress?.({ path: step.path.text, doneBytes: report.bytes, files: report.files })
  }
  await stack.leaveAll()
  return report
}

const extractOne = async (job: Job, item: ExtractItem): Promise<void> => {
  const { report, stack } = job
  const names = targetNames(item.path)
  const name = names.at(-1)
  if (name === undefined) return // The target itself keeps what it has.
  if (item.stat.type === 'dir') {
    const attributes = await attributesOf(item, job)
    // Its attributes come last: files put into it would move its times, and it may be closed to its owner.
    await stack.enter(names, async (folder, place) => await finish(job, item, place, attributes))
    report.folders++
    return
  }
  const folder = await stack.enter(names.slice(0, -1))
  switch (item.stat.type) {
    case 'file':
      return await extractFile(job, item, folder, name, names)
    case 'symlink':
      return await extractLink(job, item, folder, name)
    case 'socket':
      report.leftOut++
      return
    case 'chr':
    case 'blk':
    case 'fifo':
      return await extractNode(job, item, folder, name)
  }
}

const attributesOf = async (item: ExtractItem, { options, report }: Job): Promise<Attributes> => {
  report.leftOut += await countStreams(item, options)
  return { ...item.stat, xattrs: await item.tree.xattrs(item.node, options) }
}

const finish = async (job: Job, item: ExtractItem, place: Place, attributes: Attributes): Promise<void> => {
  const refused = await setAttributes(place, attributes, job.libc)
  await keep(job, item, refused)
}

/** What was refused goes to the list, once for each file. */
const keep = async (
  { owners, report }: Job,
  { path, stat }: ExtractItem,
  refused: Refused,
  isUnmade = false,
): Promise<void> => {
  if (!refused.owners && !refused.mode && refused.xattrs.length === 0 && !isUnmade) return
  const isOwned = !refused.owners && !isUnmade
  const row: OwnersRow = {
    ...pathFields(path),
    type: stat.type,
    uid: isOwned ? undefined : stat.uid,
    gid: isOwned ? undefined : stat.gid,
    // A change of owner clears bits of the mode: it is set again after one.
    mode: stat.type === 'symlink' ? undefined : stat.mode?.toString(8).padStart(4, '0'),
    xattrs: refused.xattrs.length === 0 ? undefined : base64Of(refused.xattrs),
    ...(isUnmade ? unmadeFields(stat) : {}),
  }
  await owners.add(row)
  report.kept++
}

const unmadeFields = ({ mtime, rdev }: Stat): Pick<OwnersRow, 'mtime' | 'rdev'> => ({
  mtime: mtime === undefined ? undefined : String(mtime),
  rdev: [rdev?.major ?? 0, rdev?.minor ?? 0],
})

const base64Of = (xattrs: readonly Xattr[]): Record<string, string> =>
  Object.fromEntries(xattrs.map(({ name, value }) => [name.text, Buffer.from(value).toString('base64')]))

const extractFile = async (
  job: Job,
  item: ExtractItem,
  folder: OpenFolder,
  name: Bytes,
  names: readonly Bytes[],
): Promise<void> => {
  const { report, links, options } = job
  if (item.linkKey !== undefined && (await links.tryLink(item.linkKey, folder, name))) {
    report.hardLinks++
    return
  }
  const file = await item.tree.open(item.node, options)
  const attributes = await attributesOf(item, job)
  const written = await writeFile(folder, name, file, {
    ...options,
    onBytes(count) {
      report.bytes += count
      options.onProgress?.({ path: item.path.text, doneBytes: report.bytes, files: report.files })
    },
    finish: async place => await finish(job, item, place, attributes),
  })
  if (item.linkKey !== undefined) links.add(item.linkKey, names, written)
  report.files++
}

const extractLink = async (job: Job, item: ExtractItem, folder: OpenFolder, name: Bytes): Promise<void> => {
  const target = await item.tree.readlink(item.node, job.options)
  const attributes = await attributesOf(item, job)
  await onTarget(`making the link ${item.path.text}`, () => symlink(Buffer.from(bytesOfName(target)), folder.at(name)))
  await finish(job, item, { folder, name, fd: undefined }, attributes)
  job.report.symlinks++
}

const extractNode = async (job: Job, item: ExtractItem, folder: OpenFolder, name: Bytes): Promise<void> => {
  const { type, rdev = { major: 0, minor: 0 } } = item.stat
  const attributes = await attributesOf(item, job)
  const isMade =
    (type === 'fifo' || job.options.devices === true) &&
    (await tryMakeNode(folder, name, type as NodeType, rdev, job.libc))
  if (!isMade) {
    await keep(job, item, { owners: true, mode: true, xattrs: [...attributes.xattrs] }, true)
    return
  }
  await using handle = await folder.reach(name)
  await finish(job, item, { folder, name, fd: handle.fd }, attributes)
  job.report.others++
}
