/** The open folders from the target down to where files are being put. @module */
import type { Bytes } from '@granary/core'
import type { Place } from './attributes.ts'
import type { OpenFolder } from './open-folder.ts'

type OnLeave = (folder: OpenFolder, place: Place) => Promise<void>

interface Level {
  readonly name: Bytes
  readonly folder: OpenFolder
  readonly parent: OpenFolder
  onLeave: OnLeave | undefined
}

/** Files come folder by folder, so one folder a level is open at a time. */
export class FolderStack implements AsyncDisposable {
  readonly #root: OpenFolder
  readonly #makes: boolean
  readonly #levels: Level[] = []

  /**
   * @param root stays the caller's
   * @param makes whether folders that aren't there are made
   */
  constructor(root: OpenFolder, makes: boolean) {
    this.#root = root
    this.#makes = makes
  }

  /**
   * Goes to a folder, leaving those that aren't above it.
   *
   * @param onLeave called when all is in it, before it is closed
   */
  async enter(names: readonly Bytes[], onLeave?: OnLeave): Promise<OpenFolder> {
    let common = 0
    while (common < this.#levels.length && common < names.length && isSame(this.#levels[common], names[common]))
      common++
    while (this.#levels.length > common) await this.#leave()
    for (const name of names.slice(common)) {
      const parent = this.#top()
      const folder = await (this.#makes ? parent.make(name) : parent.enter(name))
      this.#levels.push({ name, parent, folder, onLeave: undefined })
    }
    const level = this.#levels.at(-1)
    if (level !== undefined && onLeave !== undefined) level.onLeave = onLeave
    return this.#top()
  }

  async leaveAll(): Promise<void> {
    while (this.#levels.length > 0) await this.#leave()
  }

  /** Closes all; what was to happen on leaving doesn't. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const { folder } of this.#levels.splice(0).toReversed()) await folder[Symbol.asyncDispose]()
  }

  #top(): OpenFolder {
    return this.#levels.at(-1)?.folder ?? this.#root
  }

  async #leave(): Promise<void> {
    const level = this.#levels.pop()
    if (level === undefined) return
    const { folder, parent, name, onLeave } = level
    try {
      await onLeave?.(folder, { folder: parent, name, fd: folder.fd })
    } finally {
      await folder[Symbol.asyncDispose]()
    }
  }
}

const isSame = (level: Level | undefined, name: Bytes | undefined): boolean =>
  level !== undefined && name !== undefined && Buffer.compare(level.name, name) === 0
