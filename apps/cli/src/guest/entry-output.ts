/** A file of a guest, for programs and for people. @module */
import { createHash } from 'node:crypto'
import { formatBytes } from '@granary/core'
import type { FileNode, FileTree, Name, Stat } from '@granary/guestfs'
import { displayName } from '../terminal/display-name.ts'

export interface EntryRow {
  readonly volume: string
  readonly path: string
  readonly pathHex?: string
  readonly type: Stat['type']
  readonly size: number
  readonly mode?: string
  readonly uid?: number
  readonly gid?: number
  readonly mtime?: string
  readonly ctime?: string
  readonly btime?: string
  readonly nlink: number
  readonly ino: number
  readonly target?: string
  readonly xattrs?: Readonly<Record<string, string>>
  readonly sha256?: string
}

export interface RowOptions {
  readonly volume: string
  readonly isHashed: boolean
  readonly hasXattrs: boolean
  readonly signal: AbortSignal
}

/** Fields that the file system doesn't keep are left out. */
export const entryRow = async (
  tree: FileTree,
  { path, node, stat }: { readonly path: Name; readonly node: FileNode; readonly stat: Stat },
  { volume, isHashed, hasXattrs, signal }: RowOptions,
): Promise<EntryRow> => {
  const { type, mode, uid, gid, mtime, ctime, btime } = stat
  const xattrs = hasXattrs ? await tree.xattrs(node, { signal }) : []
  return {
    volume,
    path: path.text,
    ...(path.bytes === undefined ? {} : { pathHex: Buffer.from(path.bytes).toString('hex') }),
    type,
    size: stat.sizeBytes,
    ...(mode === undefined ? {} : { mode: octal(mode) }),
    ...(uid === undefined ? {} : { uid }),
    ...(gid === undefined ? {} : { gid }),
    ...(mtime === undefined ? {} : { mtime: String(mtime) }),
    ...(ctime === undefined ? {} : { ctime: String(ctime) }),
    ...(btime === undefined ? {} : { btime: String(btime) }),
    nlink: stat.nlink,
    ino: stat.ino,
    ...(type === 'symlink' && !stat.isEncrypted ? { target: (await tree.readlink(node, { signal })).text } : {}),
    ...(xattrs.length === 0
      ? {}
      : {
          xattrs: Object.fromEntries(
            xattrs.map(({ name, value }) => [name.text, Buffer.from(value).toString('base64')]),
          ),
        }),
    ...(type === 'file' && isHashed ? { sha256: await hashOf(tree, node, signal) } : {}),
  }
}

const octal = (mode: number): string => mode.toString(8).padStart(4, '0')

const PIECE_BYTES = 1024 * 1024

const hashOf = async (tree: FileTree, node: FileNode, signal: AbortSignal): Promise<string> => {
  const file = await tree.open(node, { signal })
  const hash = createHash('sha256')
  const buffer = new Uint8Array(Math.min(PIECE_BYTES, file.sizeBytes))
  for (let at = 0; at < file.sizeBytes; at += buffer.length) {
    const piece = buffer.subarray(0, Math.min(buffer.length, file.sizeBytes - at))
    await file.read(at, piece, { signal })
    hash.update(piece)
  }
  return hash.digest('hex')
}

const LETTERS: Readonly<Record<Stat['type'], string>> = {
  file: '-',
  dir: 'd',
  symlink: 'l',
  chr: 'c',
  blk: 'b',
  fifo: 'p',
  socket: 's',
}

/** As `ls -l` does: type and mode, owners, size, time of change, path. */
export const describeEntry = (row: EntryRow): string => {
  const { type, mode, uid, gid, size, mtime, target, sha256 } = row
  const seconds = mtime === undefined ? undefined : Number(BigInt(mtime) / 1_000_000_000n)
  const owners = uid === undefined ? '' : `${uid}:${gid ?? ''}`
  return [
    `${LETTERS[type]}${mode ?? '----'}`,
    owners.padStart(11),
    formatBytes(size).padStart(9),
    timeText(seconds).padEnd(19),
    ...(sha256 === undefined ? [] : [sha256]),
    target === undefined ? displayName(row.path) : `${displayName(row.path)} -> ${displayName(target)}`,
  ].join('  ')
}

const timeText = (seconds: number | undefined): string => {
  const time = new Date((seconds ?? Number.NaN) * 1000)
  return Number.isNaN(time.getTime()) ? '' : time.toISOString().slice(0, 19).replace('T', ' ')
}
