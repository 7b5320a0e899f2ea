/** Files with several names: the first is written, the others are linked to it. @module */
import { link, lstat, unlink } from 'node:fs/promises'
import type { Bytes } from '@granary/core'
import type { OpenFolder } from './open-folder.ts'

/** Files remembered at most; further ones become files of their own. */
const MAX_FILES = 1_000_000

export interface FileIdentity {
  readonly dev: number
  readonly ino: number
}

interface Known extends FileIdentity {
  readonly names: readonly Bytes[]
}

export class LinkTable {
  readonly #root: OpenFolder
  readonly #files = new Map<string, Known>()

  constructor(root: OpenFolder) {
    this.#root = root
  }

  add(key: string, names: readonly Bytes[], identity: FileIdentity): void {
    if (this.#files.size < MAX_FILES) this.#files.set(key, { names, ...identity })
  }

  /**
   * Gives an extracted file another name. False when there is none, or when a link can't be made: then the caller
   * writes a file. What somebody else put in the place of the first is never linked to.
   */
  async tryLink(key: string, folder: OpenFolder, name: Bytes): Promise<boolean> {
    const known = this.#files.get(key)
    const last = known?.names.at(-1)
    if (known === undefined || last === undefined) return false
    try {
      await using first = await this.#folderOf(known.names.slice(0, -1))
      await link(first.at(last), folder.at(name))
      const { dev, ino } = await lstat(folder.at(name))
      if (dev === known.dev && ino === known.ino) return true
      await unlink(folder.at(name))
    } catch {
      return false
    }
    return false
  }

  async #folderOf(names: readonly Bytes[]): Promise<OpenFolder> {
    let folder = await this.#root.enter(Buffer.from('.'))
    for (const name of names) {
      const above = folder
      try {
        folder = await above.enter(name)
      } finally {
        await above[Symbol.asyncDispose]()
      }
    }
    return folder
  }
}
