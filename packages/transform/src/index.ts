/** Compression, authenticated encryption, keys and key slots, signatures. @module */
export { constantTimeEqual } from './constant-time-equal.ts'
export type { Blake3Engine, Blake3Hasher, Blake3Mode } from './hash/engine.ts'
export type { Blake3Options, KeyedHasher } from './hash/blake3.ts'
export { blake3, createKeyedHasher, defaultBlake3Engine, deriveKey } from './hash/blake3.ts'
export { loadBlake3Native } from './hash/blake3-native.ts'
export type { Blake3WasmEngine, Blake3WasmHasher } from './hash/blake3-wasm.ts'
export { createBlake3Wasm } from './hash/blake3-wasm.ts'
export type {
  CompressedBlock,
  Compression,
  CompressionName,
  Compressor,
  CompressorOptions,
} from './compression/compression.ts'
export {
  compressions,
  createCompressor,
  decompress,
  decompressInto,
  formatCompression,
  parseCompression,
} from './compression/compression.ts'
export type { Sealer, SealingKeys, Suite } from './suites/suite.ts'
export { MAX_ORDINAL, ordinalNonce } from './suites/suite.ts'
export { DEFAULT_SUITE, suiteById, suiteByName, suites } from './suites/table.ts'
export type { RepositoryKeys } from './keys/keyring.ts'
export { Keyring, derivePackListKey, deriveRepositoryKeys } from './keys/keyring.ts'
export type { ObjectKeys } from './keys/object-keys.ts'
export { COMMITMENT_BYTES, SALT_BYTES, deriveObjectKeys } from './keys/object-keys.ts'
export { createDataKey, openDataKey, sealDataKey, unwrapDataKey, wrapDataKey } from './keys/data-key.ts'
export type { KeyPair } from './keys/x25519.ts'
export {
  createKeyPair,
  privateKeyFromPem,
  privateKeyToPem,
  publicKeyFromPem,
  publicKeyOf,
  publicKeyToPem,
} from './keys/x25519.ts'
export { openKeyring, sealKeyring } from './keys/seal-keyring.ts'
export type { KeyFile } from './keys/key-file.ts'
export { createKeyFile, readKeyFile, writeSecretFile } from './keys/key-file.ts'
export { formatKeyPage, parseKeyPage } from './keys/key-page.ts'
export type { SeedSigner, Signer } from './signatures.ts'
export { createSigner, verifySignature } from './signatures.ts'
export type { Argon2Cost, Argon2Engine, Argon2Variant } from './keys/argon2.ts'
export { argon2Wasm, defaultArgon2Engine, loadArgon2Native } from './keys/argon2.ts'
export type { ChooseCostOptions, Kdf, ScryptKdf } from './keys/kdf.ts'
export { DEFAULT_SCRYPT, chooseArgon2Cost, deriveKek } from './keys/kdf.ts'
export type { SlotHeader, SlotKind } from './keys/slot-header.ts'
export type { CreateSlotOptions, NewSecret, OpenSlotOptions, Secret } from './keys/slots.ts'
export { createSlot, openSlot, verifySlot } from './keys/slots.ts'
export type { DataPiece, Piece, StageInput, ZeroPiece } from './streams/piece.ts'
export type { Stage } from './streams/stage.ts'
export type { CompressOptions, UncompressOptions } from './streams/compress.ts'
export { compress, compressTransform, uncompress, uncompressTransform } from './streams/compress.ts'
export type { OpenOptions, SealOptions } from './streams/seal.ts'
export { open, openTransform, seal, sealTransform } from './streams/seal.ts'
export type { SealedDiskOptions } from './streams/sealed-disk.ts'
export { openSealedDisk } from './streams/sealed-disk.ts'
export type { AesFigures } from './measure/aes.ts'
export type { MeasureAesOptions } from './measure/aes-process.ts'
export { measureAes } from './measure/aes-process.ts'
export type { CipherFigures, MeasureCiphersOptions, MeasureOptions } from './measure/measure.ts'
export { measureCiphers, measureSuite } from './measure/measure.ts'
// Block ciphers and their modes.
export type {
  Aead,
  BlockCipher,
  BlockCipherOptions,
  BlockCipherSpec,
  BlockKernel,
  CipherEngine,
  CipherSizes,
  Ctr,
  CtrAcpkmOptions,
  CtrDstuOptions,
  CtrEngineOptions,
  CtrMessageOptions,
  CtrOptions,
  ExpandOptions,
  GcmOptions,
} from './ciphers/index.ts'
export {
  CtrEngine,
  blockCipher,
  blockCiphers,
  cipherByName,
  ctr,
  ctrAcpkm,
  ctrDstu,
  gcm,
  hmacStreebog,
  kdfGostr3411,
  mgm,
  streebog,
} from './ciphers/index.ts'
