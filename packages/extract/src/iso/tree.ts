/** Makes the tree of an image out of the entries. @module */
import { GranaryError } from '@granary/core'
import { bytesOfName } from '@granary/guestfs'
import type { Name, Stat } from '@granary/guestfs'
import type { IsoEntry, IsoError } from './entry.ts'
import { isDirectory, pathOf } from './node.ts'
import type { DirectoryPlace, IsoDirectory, IsoFile, IsoNode } from './node.ts'
import { SECTOR_BYTES } from './sectors.ts'

/** Names in one image, further ones of the same file too: each takes about 1 KiB of memory until the image is written. */
const MAX_ENTRIES = 500_000

/** The path table's parent numbers have 16 bits (ECMA-119, 9.4.4). */
const MAX_DIRECTORIES = 65_535

/** A file entry of UDF has room for 234 extents of nearly 1 GiB (`udf/file-entry.ts`); this is a round number below that. */
export const MAX_FILE_BYTES = 200 * 2 ** 30

export interface IsoTree {
  readonly root: IsoDirectory
  /** Every file once, in the order of the entries, directories left out. */
  readonly files: readonly IsoFile[]
  readonly directories: number
  /** Higher than every serial number in use. */
  readonly nextSerial: number
  /** Entries that an image can't hold. */
  readonly errors: readonly IsoError[]
}

/**
 * @throws GranaryError `GRANARY_LIMIT` with more than 500,000 entries or 65,535 directories, `GRANARY_INVALID_ARGUMENT`
 * when two entries have the same path
 */
export const buildTree = async (
  entries: AsyncIterable<IsoEntry> | Iterable<IsoEntry>,
  nowNs: bigint,
): Promise<IsoTree> => {
  const builder = new TreeBuilder(nowNs)
  for await (const entry of entries) builder.add(entry)
  return builder.finish()
}

class TreeBuilder {
  readonly #nowNs: bigint
  readonly #root: IsoDirectory
  readonly #byName = new Map<IsoDirectory, Map<string, IsoNode>>()
  readonly #links = new Map<string, IsoFile>()
  readonly #files: IsoFile[] = []
  readonly #errors: IsoError[] = []
  #serial = 0
  #names = 0
  #directories = 0

  constructor(nowNs: bigint) {
    this.#nowNs = nowNs
    this.#root = this.#directory({ text: '' }, undefined, this.#defaultStat())
  }

  add(entry: IsoEntry): void {
    const name = entry.path.at(-1)
    if (name === undefined) {
      Object.assign(this.#root.file, { stat: entry.stat })
      return
    }
    const parent = this.#parentOf(entry.path.slice(0, -1))
    if (entry.stat.type === 'dir') this.#addDirectory(parent, name, entry.stat)
    else this.#addFile(parent, name, entry)
  }

  finish(): IsoTree {
    return {
      root: this.#root,
      files: this.#files,
      directories: this.#directories,
      nextSerial: this.#serial + 1,
      errors: this.#errors,
    }
  }

  #addFile(parent: IsoDirectory, name: Name, entry: IsoEntry): void {
    const { stat, linkKey, target, open } = entry
    const sizeBytes = stat.type === 'file' ? stat.sizeBytes : 0
    if (sizeBytes > MAX_FILE_BYTES) {
      const path = `${pathOf(parent)}/${name.text}`
      this.#errors.push({ path, error: tooLarge(path, sizeBytes) })
      return
    }
    const known = linkKey === undefined ? undefined : this.#links.get(linkKey)
    const file: IsoFile = known ?? {
      ...this.#file(stat),
      sizeBytes,
      ...(target === undefined ? {} : { target }),
      ...(open === undefined ? {} : { open }),
    }
    const node = { name, file, parent, names: { iso: '', rockRidge: '' } }
    this.#insert(node)
    file.links++
    file.first ??= node
    if (known !== undefined) return
    this.#files.push(file)
    if (linkKey !== undefined) this.#links.set(linkKey, file)
  }

  /** A directory that was made for what is in it gets its own owner and times when its entry comes. */
  #addDirectory(parent: IsoDirectory, name: Name, stat: Stat): IsoDirectory {
    const known = this.#byName.get(parent)?.get(keyOf(name))
    if (known !== undefined && isDirectory(known)) {
      Object.assign(known.file, { stat })
      return known
    }
    const directory = this.#directory(name, parent, stat)
    this.#insert(directory)
    return directory
  }

  #parentOf(path: readonly Name[]): IsoDirectory {
    let directory = this.#root
    for (const name of path) {
      const next = this.#byName.get(directory)?.get(keyOf(name))
      if (next === undefined) directory = this.#addDirectory(directory, name, this.#defaultStat())
      else if (isDirectory(next)) directory = next
      else throw taken(pathOf(next))
    }
    return directory
  }

  #insert(node: IsoNode): void {
    const parent = node.parent as IsoDirectory
    const names = this.#byName.get(parent) as Map<string, IsoNode>
    if (names.has(keyOf(node.name))) throw taken(pathOf(node))
    if (++this.#names > MAX_ENTRIES) throw tooMany('entries', MAX_ENTRIES)
    names.set(keyOf(node.name), node)
    parent.children.push(node)
  }

  #directory(name: Name, parent: IsoDirectory | undefined, stat: Stat): IsoDirectory {
    if (++this.#directories > MAX_DIRECTORIES) throw tooMany('directories', MAX_DIRECTORIES)
    const directory: IsoDirectory = {
      name,
      parent,
      file: { ...this.#file(stat), sizeBytes: 0 },
      names: { iso: '', rockRidge: '' },
      children: [],
      iso: place(),
      joliet: place(),
      udf: { sector: 0, sizeBytes: 0 },
    }
    this.#byName.set(directory, new Map())
    return directory
  }

  #file(stat: Stat): Omit<IsoFile, 'sizeBytes'> {
    return { stat, serial: ++this.#serial, links: 0, sector: 0, entrySector: 0, isLost: false }
  }

  #defaultStat(): Stat {
    const time = this.#nowNs
    return {
      type: 'dir',
      ino: 0,
      sizeBytes: SECTOR_BYTES,
      nlink: 2,
      mode: 0o755,
      uid: 0,
      gid: 0,
      mtime: time,
      ctime: time,
    }
  }
}

const place = (): DirectoryPlace => ({ sector: 0, sectors: 0, continuationSectors: 0, number: 0 })

const keyOf = (name: Name): string =>
  name.bytes === undefined ? name.text : Buffer.from(bytesOfName(name)).toString('latin1') + '\0'

const taken = (path: string): GranaryError =>
  new GranaryError('GRANARY_INVALID_ARGUMENT', `${path} stands twice among the files of the image`, {
    detail: { path },
  })

const tooLarge = (path: string, sizeBytes: number): GranaryError =>
  new GranaryError(
    'GRANARY_LIMIT',
    `${path}: an ISO image holds files of up to ${MAX_FILE_BYTES} bytes, found ${sizeBytes}`,
    {
      detail: { path, sizeBytes, limitBytes: MAX_FILE_BYTES },
      hint: 'extract it to a folder',
    },
  )

const tooMany = (what: string, limit: number): GranaryError =>
  new GranaryError('GRANARY_LIMIT', `an ISO image holds up to ${limit} ${what}`, {
    detail: { what, limit },
    hint: 'choose fewer files, or put them into the image as one archive with --iso-content tar',
  })
