/** What a backup is given to store. @module */
import type { AbortOptions, DiskReader, DiskStream } from '@granary/core'

/** Opens a disk when its turn has come; it is closed as soon as it is stored. Undefined leaves it out of the snapshot. */
export type OpenDiskInput = (options: AbortOptions) => Promise<DiskReader | DiskStream | undefined>

/** What is to be stored. */
export interface DiskInput {
  readonly name: string
  /** Where it came from, for people. */
  readonly source: string
  readonly disk: DiskReader | DiskStream | OpenDiskInput
  /**
   * Name of the disk in the parent snapshot that this is a later state of; null when it is none's. The disk's extents must say
   * `dirty` against that snapshot and no other. @default name
   */
  readonly base?: string | null
  /** A descriptor of this process that holds the disk as it is: workers then read it themselves. */
  readonly fileDescriptor?: number
}

/** An input whose disk is open. */
export interface OpenedInput extends DiskInput {
  readonly disk: DiskReader | DiskStream
}

/** Opens what waits for its turn, and closes that again; what was open stays so. Undefined for a disk that is left out. */
export const withDisk = async <Result>(
  input: DiskInput,
  work: (opened: OpenedInput) => Promise<Result>,
  options: AbortOptions,
): Promise<Result | undefined> => {
  const { disk } = input
  if (typeof disk !== 'function') return await work({ ...input, disk })
  await using opened = await disk(options)
  return opened === undefined ? undefined : await work({ ...input, disk: opened })
}

export const isReader = (disk: DiskReader | DiskStream): disk is DiskReader => 'extents' in disk
