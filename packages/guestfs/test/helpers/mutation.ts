/** Damaged images: what a process that reads them is told, and what it says. @module */
import type { Damage } from './file-disk.ts'

export interface Mutation {
  readonly name: string
  readonly base: string
  readonly patches: readonly (readonly [offset: number, hex: string])[]
  readonly truncate?: number
  readonly expect: string
}

export interface MutationJob {
  /** Unpacked disks of the image, in order. */
  readonly disks: readonly string[]
  /** Index of the damaged one. */
  readonly damaged: number
  readonly mutations: readonly Mutation[]
}

export interface MutationResult {
  readonly name: string
  /** Errors of ours and warnings; none when all was read without a word. */
  readonly findings: readonly string[]
  /** Anything else that was thrown: a defect. */
  readonly defects: readonly string[]
  readonly files: number
  readonly cpuMs: number
  readonly maxRssMib: number
}

export const damageOf = ({ patches, truncate }: Mutation): Damage => ({
  patches: patches.map(([offset, hex]) => [offset, Buffer.from(hex, 'hex')] as const),
  ...(truncate === undefined ? {} : { truncateBytes: truncate }),
})
