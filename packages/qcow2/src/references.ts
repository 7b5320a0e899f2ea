/** Consent: the files an image names are only ever opened by the caller's say-so. @module */
import type { DiskReader } from '@granary/core'
import type { CodecPool } from './codec-pool.ts'
import { corrupt, overLimit, unsupported } from './format.ts'
import { rawDisk } from './raw-disk.ts'
import type { RandomFile } from './random-file.ts'

/** A file that an image names. All of it was written by whoever made the image. */
export interface FileReference {
  readonly kind: 'backing' | 'data'
  /** As it stands in the image: a path, a URL, a `json:` description; empty when a data file has no name. */
  readonly name: string
  /** As it stands in the image. Undefined: the image does not say, and guessing from the content is how hosts get robbed. */
  readonly format: string | undefined
  /** `location` of the file that holds the reference. */
  readonly from: string | undefined
}

/** What a reference leads to. Whoever gets it closes it. */
export type ResolvedReference =
  | { readonly disk: DiskReader }
  | {
      readonly file: RandomFile
      /** A data file is always raw. */
      readonly format: 'raw' | 'qcow2'
      /** What the references of this file are told as `from`. */
      readonly location?: string
    }

/** Says what a reference leads to, or throws. */
export type ResolveReference = (reference: FileReference) => Promise<ResolvedReference>

/** Says no to every reference: an image must stand alone. */
export const refuseReferences: ResolveReference = async ({ kind, name }) => {
  throw unsupported(
    `the image needs its ${kind} file ${JSON.stringify(name)}, which may not be opened`,
    { kind, name },
    'allow the folder it lies in, if you trust whoever made the image',
  )
}

/** Longest chain of backing files. */
const MAX_CHAIN = 64

/** The files opened so far on the way down a chain. */
export interface Chain {
  readonly depth: number
  /** Device and inode of each: names would not show a loop over links. */
  readonly identities: readonly string[]
  /** Shared by all images of the chain. */
  readonly pool: CodecPool
}

/** @throws GranaryError `GRANARY_CORRUPT` for a loop, `GRANARY_LIMIT` for a chain that is too long */
export const extendChain = (chain: Chain, file: RandomFile): Chain => {
  if (chain.depth >= MAX_CHAIN) throw overLimit(`the chain of backing files is longer than ${MAX_CHAIN}`)
  if (file.identity === undefined) return { ...chain, depth: chain.depth + 1 }
  if (chain.identities.includes(file.identity))
    throw corrupt('the chain of backing files is a loop', { depth: chain.depth })
  return { ...chain, depth: chain.depth + 1, identities: [...chain.identities, file.identity] }
}

/** Opens the data file of an image. */
export const openDataFile = async (resolve: ResolveReference, reference: FileReference): Promise<RandomFile> => {
  const resolved = await resolve(reference)
  return 'disk' in resolved ? resolved.disk : resolved.file
}

/** A resolved raw file as a disk. */
export const resolvedDisk = (resolved: ResolvedReference): DiskReader | undefined => {
  if ('disk' in resolved) return resolved.disk
  return resolved.format === 'raw' ? rawDisk(resolved.file) : undefined
}
