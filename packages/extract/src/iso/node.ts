/** The tree of an image while it is planned and written. @module */
import type { AbortOptions } from '@granary/core'
import type { Name, Stat } from '@granary/guestfs'
import type { IsoContent } from './entry.ts'

/** What several names may share: the content and what is known of it. */
export interface IsoFile {
  readonly stat: Stat
  /** Bytes that stand in the image: of a regular file its content. */
  sizeBytes: number
  readonly target?: Name
  readonly open?: (options: AbortOptions) => Promise<IsoContent>
  /** Counts from 1; stands as inode number and as UDF's unique id. */
  readonly serial: number
  /** Names it has in this image. */
  links: number
  /** The first of them. */
  first?: IsoNode
  /** First sector of the content. */
  sector: number
  /** Sector of its UDF file entry; 0 when UDF doesn't show it. */
  entrySector: number
  /** Its content could not be read: it has no name in the image. */
  isLost: boolean
}

/** The names that a file has in the four views of an image. */
export interface ViewNames {
  /** ECMA-119 identifier, with the version where it has one. */
  iso: string
  /** Bytes as a latin1 string. */
  rockRidge: string
  /** Undefined for what Joliet can't hold: links and special files. */
  joliet?: string
  /** Undefined for special files. */
  udf?: string
}

export interface IsoNode {
  readonly name: Name
  readonly file: IsoFile
  readonly parent: IsoDirectory | undefined
  readonly names: ViewNames
}

/** Where a directory lies in one of the views of ISO 9660. */
export interface DirectoryPlace {
  sector: number
  /** Sectors of its records; continuation areas follow behind them. */
  sectors: number
  /** Sectors of its continuation areas. */
  continuationSectors: number
  /** Number in the path table, from 1. */
  number: number
}

export interface IsoDirectory extends IsoNode {
  readonly parent: IsoDirectory | undefined
  readonly children: IsoNode[]
  readonly iso: DirectoryPlace
  readonly joliet: DirectoryPlace
  /** Where its file identifiers lie in UDF. */
  readonly udf: { sector: number; sizeBytes: number }
}

export const isDirectory = (node: IsoNode): node is IsoDirectory => 'children' in node

/** The path from the top, for people. */
export const pathOf = (node: IsoNode): string =>
  node.parent === undefined ? '' : `${pathOf(node.parent)}/${node.name.text}`

/** Every directory, each before those below it. */
export function* directoriesBelow(root: IsoDirectory): Generator<IsoDirectory, void, undefined> {
  const waiting = [root]
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    yield next
    for (const child of next.children) if (isDirectory(child)) waiting.push(child)
  }
}
