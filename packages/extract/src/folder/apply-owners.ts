/** Sets what an earlier extraction was not allowed to. @module */
import type { BigIntStats } from 'node:fs'
import { GranaryError } from '@granary/core'
import type { Bytes } from '@granary/core'
import { nameOfBytes } from '@granary/guestfs'
import type { Stat } from '@granary/guestfs'
import { isFatal, onTarget } from '../report.ts'
import type { ExtractOptions } from '../report.ts'
import { targetNames } from '../target-names.ts'
import { setAttributes } from './attributes.ts'
import type { Attributes } from './attributes.ts'
import { FolderStack } from './folder-stack.ts'
import { loadLibc } from './libc.ts'
import type { Libc } from './libc.ts'
import { tryMakeNode } from './make-node.ts'
import type { NodeType } from './make-node.ts'
import { openFolder } from './open-folder.ts'
import type { OpenFolder } from './open-folder.ts'
import { readOwnersLog } from './owners-log.ts'
import type { OwnersRow } from './owners-log.ts'

export interface ApplyOptions extends Pick<ExtractOptions, 'signal' | 'onError'> {
  /** Make device nodes too. @default false */
  readonly devices?: boolean
}

export interface ApplyReport {
  applied: number
  /** Devices that were not asked for. */
  leftOut: number
  /** Each was told of by `onError`. */
  failed: number
}

/**
 * Reads `.granary-owners.jsonl` of a folder and sets what it says. Links are not followed, and nothing outside the
 * folder is touched; but whoever may write to the folder chooses what is set in it.
 *
 * @throws GranaryError `GRANARY_NOT_FOUND` when there is no such list, `GRANARY_CORRUPT` when it is none
 */
export const applyOwners = async (path: string, options: ApplyOptions = {}): Promise<ApplyReport> => {
  const libc = await loadLibc()
  await using root = await openFolder(path)
  await using stack = new FolderStack(root, false)
  const report: ApplyReport = { applied: 0, leftOut: 0, failed: 0 }
  for await (const row of readOwnersLog(root)) {
    options.signal?.throwIfAborted()
    try {
      if (await applyRow(stack, row, options.devices ?? false, libc)) report.applied++
      else report.leftOut++
    } catch (error) {
      if (isFatal(error)) throw error
      report.failed++
      options.onError?.(row.path, error)
    }
  }
  return report
}

/** False when it is a device that was not asked for. */
const applyRow = async (
  stack: FolderStack,
  row: OwnersRow,
  makesDevices: boolean,
  libc: Libc | undefined,
): Promise<boolean> => {
  const names = targetNames(
    row.pathHex === undefined ? { text: row.path } : nameOfBytes(Uint8Array.from(Buffer.from(row.pathHex, 'hex'))),
  )
  const name = names.at(-1)
  if (name === undefined) throw refusal(row.path, 'it is the folder itself')
  const folder = await stack.enter(names.slice(0, -1))
  if (row.rdev !== undefined) {
    if (!makesDevices && row.type !== 'fifo') return false
    await makeNode(folder, name, row, libc)
  }
  await using handle = await folder.reach(name)
  const found = await handle.stat({ bigint: true })
  if (typeOf(found) !== row.type) throw refusal(row.path, `expected a ${row.type}, found a ${typeOf(found)}`)
  // Owners and attributes move no times but that of the last change of attributes.
  const place = { folder, name, fd: row.type === 'symlink' ? undefined : handle.fd }
  const refused = await setAttributes(place, attributesOf(row), libc)
  if (refused.owners || refused.mode || refused.xattrs.length > 0)
    throw new GranaryError('GRANARY_PERMISSION', `${row.path}: its owner, mode or attributes can't be set`, {
      detail: { path: row.path, xattrs: refused.xattrs.map(xattr => xattr.name.text).join(', ') },
      hint: 'run it as root, on a file system that keeps them',
    })
  return true
}

const attributesOf = ({ uid, gid, mode, mtime, xattrs = {} }: OwnersRow): Attributes => ({
  ...(uid === undefined ? {} : { uid }),
  ...(gid === undefined ? {} : { gid }),
  ...(mode === undefined ? {} : { mode: Number.parseInt(mode, 8) }),
  ...(mtime === undefined ? {} : { mtime: BigInt(mtime) }),
  xattrs: Object.entries(xattrs).map(([name, value]) => ({
    name: { text: name },
    value: Uint8Array.from(Buffer.from(value, 'base64')),
  })),
})

/** The times of the folder stay what they were. */
const makeNode = async (folder: OpenFolder, name: Bytes, row: OwnersRow, libc: Libc | undefined): Promise<void> => {
  const [major = 0, minor = 0] = row.rdev ?? []
  const { atimeNs, mtimeNs } = await folder.handle.stat({ bigint: true })
  if (await tryMakeNode(folder, name, row.type as NodeType, { major, minor }, libc))
    await onTarget('setting times', () => libc?.setTimes(folder.fd, Buffer.from('.'), atimeNs, mtimeNs))
  else
    throw new GranaryError('GRANARY_PERMISSION', `${row.path}: the device can't be made`, {
      detail: { path: row.path },
      hint: 'run it as root, on a file system that keeps devices',
    })
}

const typeOf = (found: BigIntStats): Stat['type'] => {
  if (found.isFile()) return 'file'
  if (found.isDirectory()) return 'dir'
  if (found.isSymbolicLink()) return 'symlink'
  if (found.isCharacterDevice()) return 'chr'
  if (found.isBlockDevice()) return 'blk'
  return found.isFIFO() ? 'fifo' : 'socket'
}

const refusal = (path: string, why: string): GranaryError =>
  new GranaryError('GRANARY_INVALID_ARGUMENT', `${path}: ${why}`, { detail: { path } })
