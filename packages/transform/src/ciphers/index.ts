/** Block ciphers and their modes. @module */
export type { BlockCipher, BlockCipherOptions } from './block-cipher.ts'
export { blockCipher } from './block-cipher.ts'
export type { CipherEngine, Ctr, CtrOptions } from './ctr.ts'
export { ctr } from './ctr.ts'
export type { BlockCipherSpec, BlockKernel, CipherSizes } from './block-cipher-spec.ts'
export { blockCiphers, cipherByName } from './table.ts'
