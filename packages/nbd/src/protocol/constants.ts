/**
 * Numbers of the NBD protocol, in the order of its document.
 *
 * @see NetworkBlockDevice/nbd, doc/proto.md, "Values" and the `extension-ext-header` branch
 * @module
 */

/** Magic numbers. Those of 64 bits are kept as two words: high, low. */
export const MAGIC = {
  /** "NBDMAGIC": the first eight bytes of every server. */
  init: [0x4e42444d, 0x41474943],
  /** "IHAVEOPT": second word of a newstyle server, and head of every option of a client. */
  option: [0x49484156, 0x454f5054],
  /** Second word of an oldstyle server. */
  oldstyle: [0x00004202, 0x81861253],
  optionReply: [0x0003e889, 0x045565a9],
  request: 0x25609513,
  simpleReply: 0x67446698,
  structuredReply: 0x668e33ef,
  extendedRequest: 0x21e41c71,
  extendedReply: 0x6e8a278c,
} as const

/** Sizes of the fixed frames, bytes. */
export const FRAME_BYTES = {
  greeting: 18,
  clientFlags: 4,
  option: 16,
  optionReply: 20,
  exportNameReply: 10,
  exportNamePadding: 124,
  request: 28,
  extendedRequest: 32,
  simpleReply: 16,
  structuredReply: 20,
  extendedReply: 32,
} as const

/** Flags of the server's greeting (u16) and of the client's answer (u32). */
export const HANDSHAKE_FLAG = { fixedNewstyle: 1, noZeroes: 2 } as const

export const OPTION = {
  exportName: 1,
  abort: 2,
  list: 3,
  startTls: 5,
  info: 6,
  go: 7,
  structuredReply: 8,
  listMetaContext: 9,
  setMetaContext: 10,
  extendedHeaders: 11,
} as const

export const OPTION_REPLY = {
  ack: 1,
  server: 2,
  info: 3,
  metaContext: 4,
  errorUnsupported: 0x80000001,
  errorPolicy: 0x80000002,
  errorInvalid: 0x80000003,
  errorPlatform: 0x80000004,
  errorTlsRequired: 0x80000005,
  errorUnknown: 0x80000006,
  errorShutdown: 0x80000007,
  errorBlockSizeRequired: 0x80000008,
  errorTooBig: 0x80000009,
  errorExtendedHeadersRequired: 0x8000000a,
} as const

/** Set in every option reply that is an error. */
export const OPTION_REPLY_ERROR_BIT = 0x80000000

export const INFO = { export: 0, name: 1, description: 2, blockSize: 3 } as const

/** Transmission flags (u16), told with the size of an export. */
export const EXPORT_FLAG = {
  hasFlags: 1 << 0,
  readOnly: 1 << 1,
  sendFlush: 1 << 2,
  sendFua: 1 << 3,
  rotational: 1 << 4,
  sendTrim: 1 << 5,
  sendWriteZeroes: 1 << 6,
  sendDf: 1 << 7,
  canMultiConn: 1 << 8,
  sendResize: 1 << 9,
  sendCache: 1 << 10,
  sendFastZero: 1 << 11,
  blockStatusPayload: 1 << 12,
} as const

export const COMMAND = {
  read: 0,
  write: 1,
  disconnect: 2,
  flush: 3,
  trim: 4,
  cache: 5,
  writeZeroes: 6,
  blockStatus: 7,
  resize: 8,
} as const

export const COMMAND_FLAG = {
  fua: 1 << 0,
  noHole: 1 << 1,
  dontFragment: 1 << 2,
  requestOne: 1 << 3,
  fastZero: 1 << 4,
  payloadLength: 1 << 5,
} as const

export const CHUNK = {
  none: 0,
  offsetData: 1,
  offsetHole: 2,
  blockStatus: 5,
  blockStatusExtended: 6,
  error: 0x8001,
  errorOffset: 0x8002,
} as const

/** Set in every chunk type that is an error. */
export const CHUNK_ERROR_BIT = 0x8000
/** Flag of a chunk: the last one of its reply. */
export const CHUNK_DONE = 1

/** Error numbers on the wire: those of Linux, on every system. */
export const ERRNO = {
  EPERM: 1,
  EIO: 5,
  ENOMEM: 12,
  EINVAL: 22,
  ENOSPC: 28,
  EOVERFLOW: 75,
  ENOTSUP: 95,
  ESHUTDOWN: 108,
} as const

export type Errno = (typeof ERRNO)[keyof typeof ERRNO]

/** Bits of a `base:allocation` status. */
export const ALLOCATION_FLAG = { hole: 1, zero: 2 } as const
/** Bit of a `qemu:dirty-bitmap:` status. */
export const DIRTY_FLAG = 1

export const CONTEXT = {
  allocation: 'base:allocation',
  dirtyBitmap: 'qemu:dirty-bitmap:',
  allocationDepth: 'qemu:allocation-depth',
} as const

export const DEFAULT_PORT = 10809
/** Longest name, description or message, bytes. */
export const MAX_STRING_BYTES = 4096
/** Payload that every peer takes when no block sizes were agreed, bytes. */
export const DEFAULT_MAX_PAYLOAD_BYTES = 32 * 1024 * 1024
export const DEFAULT_PREFERRED_BYTES = 4096
/** What a client assumes as smallest unit when no block sizes were agreed, bytes. */
export const ASSUMED_MIN_BYTES = 512
/** Largest smallest unit a server may ask for, bytes. */
export const MAX_MIN_BYTES = 65536
/** Largest value of a 32-bit length. */
export const MAX_UINT32 = 0xffffffff
