/** What a folder or a tar stream shows of files, in a form that can be compared. @module */
import { createHash } from 'node:crypto'
import { createReadStream, lstatSync, readFileSync, readdirSync, readlinkSync } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { extract } from 'tar-stream'
import type { Header } from 'tar-stream'

/** Undefined where a view doesn't tell. */
export interface SeenFile {
  readonly type: string
  readonly mode?: number
  readonly uid?: number
  readonly gid?: number
  readonly sizeBytes?: number
  readonly seconds?: number
  readonly target?: string
  readonly sha256?: string
}

/** By path from the top without a leading slash; names are latin1 strings of their bytes. */
export type Seen = Map<string, SeenFile>

export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

const slash = Buffer.from('/')

export const seenInFolder = (folder: string): Seen => {
  const seen: Seen = new Map()
  const look = (path: Buffer, name: string): void => {
    const stat = lstatSync(path)
    const type = stat.isDirectory() ? 'dir' : stat.isSymbolicLink() ? 'symlink' : stat.isFile() ? 'file' : 'special'
    seen.set(name, {
      type,
      mode: stat.mode & 0o7777,
      uid: stat.uid,
      gid: stat.gid,
      seconds: Math.floor(stat.mtimeMs / 1000),
      ...(type === 'file' ? { sizeBytes: stat.size, sha256: sha256(readFileSync(path)) } : {}),
      ...(type === 'symlink' ? { target: readlinkSync(path, 'buffer').toString('latin1') } : {}),
    })
    if (type !== 'dir') return
    for (const child of readdirSync(path, { encoding: 'buffer' }))
      look(
        Buffer.concat([path, slash, child]),
        name === '' ? child.toString('latin1') : `${name}/${child.toString('latin1')}`,
      )
  }
  look(Buffer.from(folder), '')
  seen.delete('')
  return seen
}

const TAR_TYPES: Readonly<Record<string, string>> = {
  directory: 'dir',
  symlink: 'symlink',
  file: 'file',
  'contiguous-file': 'file',
}

/** What a tar stream holds; a second name is shown as the file it names. */
export const seenInTar = async (path: string): Promise<Seen> => {
  const seen: Seen = new Map()
  const entries = extract({ filenameEncoding: 'latin1' } as Parameters<typeof extract>[0])
  const reading = pipeline(createReadStream(path), entries)
  for await (const entry of entries) {
    const name = entry.header.name.replace(/^\.\//, '').replace(/\/$/, '')
    const hash = createHash('sha256')
    for await (const piece of entry as AsyncIterable<Buffer>) hash.update(piece)
    const linked = seen.get((entry.header.linkname ?? '').replace(/^\.\//, ''))
    seen.set(
      name,
      entry.header.type === 'link' && linked !== undefined ? linked : seenInHeader(entry.header, hash.digest('hex')),
    )
  }
  await reading
  seen.delete('.')
  seen.delete('')
  return seen
}

const seenInHeader = (header: Header, sha256: string): SeenFile => {
  const { mode, uid, gid, mtime, size, linkname } = header
  const type = TAR_TYPES[header.type ?? ''] ?? 'special'
  return {
    type,
    mode: mode & 0o7777,
    uid,
    gid,
    seconds: mtime.getTime() / 1000,
    ...(type === 'file' ? { sizeBytes: size, sha256 } : {}),
    ...(type === 'symlink' ? { target: linkname } : {}),
  }
}

/** What is missing, too much or other: one line each. `expected` may say less of a file than is found. */
export const differences = (found: Seen, expected: Seen): string[] => [
  ...[...expected].flatMap(([name, file]) => {
    const other = found.get(name)
    if (other === undefined) return [`${name}: missing`]
    return Object.entries(file)
      .filter(([key, value]) => other[key as keyof SeenFile] !== value)
      .map(([key, value]) => `${name}: ${key} should be ${value}, is ${other[key as keyof SeenFile]}`)
  }),
  ...[...found.keys()].filter(name => !expected.has(name)).map(name => `${name}: too much`),
]
