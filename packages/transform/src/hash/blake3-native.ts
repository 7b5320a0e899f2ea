/** BLAKE3 through `@napi-rs/blake-hash`, prebuilt for the common platforms. See docs/decisions/0002-blake-hash.md. @module */
import { createRequire } from 'node:module'
import { loadOptional } from '@granary/core'
import type { Bytes } from '@granary/core'
import type { Blake3Engine, Blake3Hasher, Blake3Mode } from './engine.ts'
import { BLAKE3_BYTES } from './engine.ts'

const require = createRequire(import.meta.url)

/** The part of the addon that is used. It makes 32-byte digests only. */
interface NativeHasher {
  reset(): void
  update(input: Bytes): unknown
  digest(format: 'hex'): string
}
interface NativeModule {
  readonly Blake3Hasher: {
    new (): NativeHasher
    newKeyed(key: Buffer): NativeHasher
    newDeriveKey(context: string): NativeHasher
  }
}

/** The native engine, or undefined where no prebuilt binary fits. */
export const loadBlake3Native = (): Blake3Engine | undefined => {
  const native = loadOptional(() => require('@napi-rs/blake-hash') as NativeModule)
  if (native === undefined) return undefined
  return { name: 'native', createHasher: mode => wrap(createNative(native, mode)) }
}

const createNative = ({ Blake3Hasher }: NativeModule, mode: Blake3Mode): NativeHasher => {
  switch (mode.kind) {
    case 'hash':
      return new Blake3Hasher()
    case 'keyed':
      return Blake3Hasher.newKeyed(Buffer.from(mode.key))
    case 'derive':
      return Blake3Hasher.newDeriveKey(mode.context)
  }
}

const wrap = (hasher: NativeHasher): Blake3Hasher => {
  const scratch = Buffer.alloc(BLAKE3_BYTES)
  return {
    digestParts: parts => {
      for (const part of parts) hasher.update(part)
      // Text costs half of what the addon's own buffers do, which are memory outside the heap, freed only between turns
      // of the event loop.
      scratch.write(hasher.digest('hex'), 'hex')
      hasher.reset()
      return new Uint8Array(scratch)
    },
  }
}
