/**
 * Argon2id, and Argon2i for what others have sealed (RFC 9106): native where a prebuilt binary fits, else WebAssembly, with equal output.
 * See docs/decisions/0004-argon2.md.
 *
 * @module
 */
import { createRequire } from 'node:module'
import { loadOptional } from '@granary/core'
import type { Bytes } from '@granary/core'
import type * as HashWasm from 'hash-wasm'

const require = createRequire(import.meta.url)

/** What a passphrase costs to try. */
export interface Argon2Cost {
  readonly memoryKiB: number
  readonly passes: number
  readonly lanes: number
}

export type Argon2Variant = 'argon2id' | 'argon2i'

export interface Argon2Engine {
  readonly name: 'native' | 'wasm'
  /** @param variant `argon2id` when left out: slots use no other */
  hash(password: Bytes, salt: Bytes, cost: Argon2Cost, lengthBytes: number, variant?: Argon2Variant): Promise<Bytes>
}

/** The part of `@node-rs/argon2` that is used. */
interface NativeModule {
  hashRaw(
    password: Bytes,
    options: {
      algorithm: number
      version: number
      memoryCost: number
      timeCost: number
      parallelism: number
      outputLen: number
      salt: Bytes
    },
  ): Promise<Buffer>
}

/** The addon's numbers for the variants and for version 0x13. */
const ALGORITHM: Readonly<Record<Argon2Variant, number>> = { argon2i: 1, argon2id: 2 }
const VERSION_0X13 = 1

/** The native engine, or undefined where no prebuilt binary fits. */
export const loadArgon2Native = (): Argon2Engine | undefined => {
  const native = loadOptional(() => require('@node-rs/argon2') as NativeModule)
  if (native === undefined) return undefined
  return {
    name: 'native',
    hash: async (password, salt, { memoryKiB, passes, lanes }, lengthBytes, variant = 'argon2id') => {
      const cost = { memoryCost: memoryKiB, timeCost: passes, parallelism: lanes, outputLen: lengthBytes }
      return new Uint8Array(
        await native.hashRaw(password, { algorithm: ALGORITHM[variant], version: VERSION_0X13, salt, ...cost }),
      )
    },
  }
}

/** The WebAssembly engine, which uses one thread whatever the lanes. Loaded when first used: it takes as long as all the rest. */
export const argon2Wasm: Argon2Engine = {
  name: 'wasm',
  hash: async (password, salt, { memoryKiB, passes, lanes }, lengthBytes, variant = 'argon2id') => {
    const functions = require('hash-wasm') as typeof HashWasm
    return await functions[variant]({
      password,
      salt,
      memorySize: memoryKiB,
      iterations: passes,
      parallelism: lanes,
      hashLength: lengthBytes,
      outputType: 'binary',
    })
  },
}

let fastest: Argon2Engine | undefined

/** The engine used when none is given. */
export const defaultArgon2Engine = (): Argon2Engine => (fastest ??= loadArgon2Native() ?? argon2Wasm)
