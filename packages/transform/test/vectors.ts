/** Published vectors from the shared material, where this machine has it. */
import { readFileSync } from 'node:fs'
import type { Bytes } from '@granary/core'
import { sharedPath } from '@granary/testing'

/** Why a suite of vectors can't run here, as an option of `t.test`; empty when it can. */
export const vectorOptions = (path: string): { skip?: string } =>
  sharedPath('vectors', path) === undefined ? { skip: `no shared vectors ${path} on this machine` } : {}

/** The vectors in a file. */
export const readVectors = <Vector>(path: string): readonly Vector[] =>
  JSON.parse(readFileSync(sharedPath('vectors', path) as string, 'utf8')) as readonly Vector[]

/** Bytes of a hexadecimal text. */
export const hex = (text: string): Bytes => new Uint8Array(Buffer.from(text, 'hex'))

/** Hexadecimal text of bytes. */
export const toHex = (bytes: Bytes): string => Buffer.from(bytes).toString('hex')
