/** Makes ISO images: ISO 9660 level 3 with Rock Ridge and Joliet, and UDF 1.02 over the same content. @module */
import { randomBytes } from 'node:crypto'
import { GranaryError, mapOrdered } from '@granary/core'
import type { AbortOptions, Bytes } from '@granary/core'
import { contentOfBytes } from './content.ts'
import type { IsoContent, IsoEntry, IsoError } from './entry.ts'
import { layOut } from './layout.ts'
import { leadIn, leadOut } from './metadata.ts'
import type { ImageFacts } from './metadata.ts'
import { listChangedNames } from './name-list.ts'
import type { NameList } from './name-list.ts'
import { assignNames } from './names.ts'
import { directoriesBelow, pathOf } from './node.ts'
import type { IsoFile } from './node.ts'
import { SECTOR_BYTES, sectorsOf } from './sectors.ts'
import { buildTree } from './tree.ts'
import type { IsoTree } from './tree.ts'

export interface IsoOptions extends AbortOptions {
  /** What the volume is called, up to 32 characters; others than A to Z, 0 to 9 and _ are changed. @default 'GRANARY' */
  readonly volumeId?: string
  /** The image's own time, nanoseconds since 1970. @default now */
  readonly timeNs?: bigint
}

/** An image that is planned: its size is settled, its content not read. */
export interface IsoImage {
  readonly sizeBytes: number
  readonly files: number
  readonly directories: number
  /** Names that had to be changed in one of the views; they stand in GRANARY-NAMES.txt. */
  readonly changedNames: number
  /** Files that aren't in the image, and why; whole when it is written. */
  readonly errors: readonly IsoError[]
  /** The bytes of the image, `sizeBytes` of them whatever fails. May be called once. */
  write(options?: AbortOptions): AsyncIterable<Bytes>
}

/** Files opened and read ahead of the writer. */
const READ_AHEAD_FILES = 8

/** Larger files are read when their turn has come. */
const READ_AHEAD_BYTES = 256 * 1024

/**
 * Plans an image of files. A file that can't be read later is left out, with its reason in `errors`.
 *
 * @throws GranaryError `GRANARY_LIMIT` when no image can hold that, `GRANARY_INVALID_ARGUMENT` when two entries have one path
 */
export const planIso = async (
  entries: AsyncIterable<IsoEntry> | Iterable<IsoEntry>,
  { volumeId = 'GRANARY', timeNs = BigInt(Date.now()) * 1_000_000n, signal }: IsoOptions = {},
): Promise<IsoImage> => {
  const tree = await buildTree(entries, timeNs)
  signal?.throwIfAborted()
  for (const directory of directoriesBelow(tree.root)) assignNames(directory)
  const list = listChangedNames(tree.root)
  const files = list === undefined ? tree.files : [...tree.files, addNameList(tree, list, timeNs)]
  const facts: ImageFacts = {
    root: tree.root,
    files,
    layout: layOut(tree.root, files),
    lastSerial: tree.nextSerial,
    volumeId: volumeId
      .toUpperCase()
      .replaceAll(/[^A-Z0-9_]/gu, '_')
      .slice(0, 32),
    timeNs,
    setId: randomBytes(8).toString('hex'),
  }
  const errors = [...tree.errors]
  return {
    sizeBytes: (facts.layout.lastSector + 1) * SECTOR_BYTES,
    files: files.length,
    directories: facts.layout.directories.length,
    changedNames: list?.count ?? 0,
    errors,
    write: options => writeImage(facts, errors, options),
  }
}

/** Adds the list to the root, under a name that nothing there has. */
const addNameList = ({ root, nextSerial }: IsoTree, { text }: NameList, timeNs: bigint): IsoFile => {
  const taken = new Set(root.children.flatMap(({ names }) => Object.values(names)).map(name => name.toLowerCase()))
  let stem = 'GRANARY-NAMES'
  for (let n = 1; taken.has(`${stem}.txt`.toLowerCase()) || taken.has(isoNameOf(stem).toLowerCase()); n++)
    stem = `GRANARY-NAMES-${n}`
  const name = `${stem}.txt`
  const file: IsoFile = {
    stat: {
      type: 'file',
      ino: 0,
      sizeBytes: text.length,
      nlink: 1,
      mode: 0o644,
      uid: 0,
      gid: 0,
      mtime: timeNs,
      ctime: timeNs,
    },
    sizeBytes: text.length,
    open: async () => contentOfBytes(text),
    serial: nextSerial,
    links: 1,
    sector: 0,
    entrySector: 0,
    isLost: false,
  }
  const node = {
    name: { text: name },
    file,
    parent: root,
    names: { iso: isoNameOf(stem), rockRidge: name, joliet: name, udf: name },
  }
  file.first = node
  root.children.push(node)
  return file
}

const isoNameOf = (stem: string): string => `${stem.replaceAll('-', '_')}.TXT;1`

async function* writeImage(
  facts: ImageFacts,
  errors: IsoError[],
  { signal }: AbortOptions = {},
): AsyncGenerator<Bytes, void, undefined> {
  yield leadIn(facts)
  const withContent = facts.files.filter(file => file.open !== undefined)
  const opened = mapOrdered(withContent, openContent, { concurrency: READ_AHEAD_FILES, signal })
  for await (const { file, content, error } of opened) {
    const reservedBytes = sectorsOf(file.sizeBytes) * SECTOR_BYTES
    let written = 0
    try {
      if (content === undefined) throw error
      for await (const piece of content.read({ signal })) {
        if (written + piece.length > file.sizeBytes) throw otherSize(file, written + piece.length)
        written += piece.length
        yield piece
      }
      if (written < file.sizeBytes && content.mayBeShorter !== true) throw otherSize(file, written)
      file.sizeBytes = written
    } catch (cause) {
      signal?.throwIfAborted()
      file.isLost = true
      errors.push({ path: file.first === undefined ? '' : pathOf(file.first), error: cause })
    }
    yield* filling(reservedBytes - written)
  }
  for (const sectors of leadOut(facts)) {
    signal?.throwIfAborted()
    if (sectors.length > 0) yield sectors
  }
}

interface OpenedFile {
  readonly file: IsoFile
  readonly content?: IsoContent
  readonly error?: unknown
}

/** Opens a file; a small one is read too. Its failure is its own. */
const openContent = async (file: IsoFile, signal: AbortSignal): Promise<OpenedFile> => {
  try {
    const content = await (file.open as NonNullable<IsoFile['open']>)({ signal })
    const isSmall = file.sizeBytes <= READ_AHEAD_BYTES && content.sizeBytes === file.sizeBytes
    if (!isSmall || content.mayBeShorter === true) return { file, content }
    const pieces = []
    for await (const piece of content.read({ signal })) pieces.push(piece)
    return { file, content: contentOfBytes(Buffer.concat(pieces)) }
  } catch (error) {
    signal.throwIfAborted()
    return { file, error }
  }
}

const FILLING_BYTES = 1024 * 1024

/** What stands where a file ends inside a sector, or its content was lost: no name leads there. */
function* filling(bytes: number): Generator<Bytes, void, undefined> {
  for (let left = bytes; left > 0; left -= FILLING_BYTES) yield new Uint8Array(Math.min(left, FILLING_BYTES))
}

const otherSize = ({ sizeBytes, first }: IsoFile, found: number): GranaryError =>
  new GranaryError('GRANARY_SIZE', `expected ${sizeBytes} bytes of content, found ${found}`, {
    detail: { path: first === undefined ? '' : pathOf(first), expected: sizeBytes, found },
  })
