/** Test vectors: a trimmed set of this repository, and the whole set where ../shared is there. @module */
import { readFileSync } from 'node:fs'
import { projectPath, sharedPath } from '@granary/testing'

export const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'))
export const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

/** For long byte strings, which tap compares a number at a time. */
export const isSame = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0

const read = <Vector>(path: string): readonly Vector[] => JSON.parse(readFileSync(path, 'utf8')) as Vector[]

export interface VectorSet<Vector> {
  readonly name: string
  readonly vectors: readonly Vector[]
  /** Why it cannot be run here. */
  readonly skip: string | false
}

/** The vectors of a file, in both sets. */
export const vectorSets = <Vector>(file: string): readonly VectorSet<Vector>[] => {
  const full = sharedPath('vectors', file)
  return [
    {
      name: `${file}, trimmed`,
      vectors: read<Vector>(projectPath('packages', 'transform', 'test', 'ciphers', 'vectors', file)),
      skip: false,
    },
    {
      name: `${file}, whole`,
      vectors: full === undefined ? [] : read<Vector>(full),
      skip: full === undefined ? 'needs ../shared/vectors' : false,
    },
  ]
}

export interface BlockVector {
  readonly keyBits: number
  readonly blockBits: number
  readonly key: string
  readonly plaintext: string
  readonly ciphertext: string
  readonly tweak?: string
  readonly iterations?: number
}

export interface CtrVector extends BlockVector {
  readonly iv: string
  readonly offset?: number
}

export interface AeadVector extends CtrVector {
  readonly aad: string
  readonly tag: string
  readonly result?: 'valid' | 'invalid' | 'acceptable'
}
