/** Trees that no file system's reader would give: names and damage of an attacker's choice. @module */
import { GranaryError, memoryDisk } from '@granary/core'
import type { DiskReader } from '@granary/core'
import { nameOfBytes } from '@granary/guestfs'
import type { FileTree, Name, Stat, Xattr } from '@granary/guestfs'
import type { ExtractItem } from '../../src/index.ts'

export interface HostileFile {
  readonly path: string | Uint8Array
  readonly type?: Stat['type']
  readonly content?: Uint8Array | DiskReader
  readonly target?: string
  readonly linkKey?: string
  readonly stat?: Partial<Stat>
  readonly xattrs?: readonly Xattr[]
  /** Names of streams. */
  readonly streams?: readonly string[]
}

const text = (name: string | Uint8Array): Name =>
  typeof name === 'string' ? { text: name } : nameOfBytes(Uint8Array.from(name))

/** One file on its way to a target. */
export const item = ({
  path,
  type = 'file',
  content = new Uint8Array(0),
  target = '',
  linkKey,
  stat,
  xattrs = [],
  streams = [],
}: HostileFile): ExtractItem => {
  const file = content instanceof Uint8Array ? memoryDisk(content) : content
  const nobody = async (): Promise<never> => {
    throw new Error('is not asked')
  }
  const tree: Partial<FileTree> = {
    open: async () => file,
    readlink: async () => ({ text: target }),
    xattrs: async () => xattrs,
    streams: async () => streams.map(name => ({ name: { text: name }, sizeBytes: 1 })),
    stat: nobody,
  }
  return {
    kind: 'entry',
    path: text(path),
    tree: tree as FileTree,
    node: { ino: 1 },
    stat: { type, ino: 1, sizeBytes: file.sizeBytes, nlink: 1, mtime: 1_600_000_000_123_456_789n, ...stat },
    ...(linkKey === undefined ? {} : { linkKey }),
  }
}

export const bytes = (content: string): Uint8Array => Uint8Array.from(Buffer.from(content))

/** A file of which all reads from an offset on fail. */
export const brokenFrom = (sizeBytes: number, brokenAt: number): DiskReader => ({
  sizeBytes,
  blockBytes: 512,
  async read(offset, target) {
    if (offset + target.length > brokenAt)
      throw new GranaryError('GRANARY_UNSUPPORTED', 'its content is in the cloud (a placeholder)')
    target.fill(0x41)
  },
  async *extents({ offset = 0, length = sizeBytes - offset } = {}) {
    if (length > 0) yield { offset, length, kind: 'data' as const }
  },
  async [Symbol.asyncDispose]() {},
})
