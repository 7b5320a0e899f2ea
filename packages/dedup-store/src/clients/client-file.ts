/**
 * What a write-only client holds, as a file: enough to name, cut, place and announce what it stores, and to sign; nothing that
 * opens a chunk. Two lines: JSON, and a checksum of the first.
 *
 * @see docs/formats/keys.md, "Client files"
 * @module
 */
import { GranaryError } from '@granary/core'
import type { Bytes } from '@granary/core'
import { blake3, constantTimeEqual } from '@granary/transform'
import { hexOfId } from '../format/ids.ts'

const FORMAT = 'granary-client'
const VERSION = 1

/** 1024 generations fit. */
const MAX_BYTES = 1024 * 1024

/** Keys of one generation that a client needs to read what others decided, and to be read. 32 bytes each. */
export interface ClientGeneration {
  readonly map: Bytes
  readonly manifest: Bytes
  readonly session: Bytes
  /** Ed25519 public key of the key holder. */
  readonly holder: Bytes
}

export interface ClientFile {
  /** Id of the repository. */
  readonly repository: string
  /** Id of the client's entry among the signers. */
  readonly id: string
  readonly name: string
  readonly created: string
  readonly chunkId: Bytes
  readonly mapId: Bytes
  readonly chunker: Bytes
  readonly index: Bytes
  /** The generation it writes in. */
  readonly current: number
  readonly generations: ReadonlyMap<number, ClientGeneration>
  /** X25519 public key of the current generation, to which it seals its data keys. */
  readonly sealTo: Bytes
  /** Ed25519 seed of its own. */
  readonly signingSeed: Bytes
}

/** The file's bytes. Secret. */
export const encodeClientFile = (file: ClientFile): Bytes => {
  const { generations, ...rest } = file
  const byNumber = [...generations].map(([generation, keys]) => ({ generation, ...keys }))
  const json = JSON.stringify(
    { format: FORMAT, version: VERSION, ...rest, generations: byNumber },
    (_, value: unknown) => (value instanceof Uint8Array ? hexOfId(value) : value),
  )
  return Buffer.from(`${json}\n${checksumOf(json)}\n`)
}

/**
 * Reads a client file.
 *
 * @throws GranaryError `GRANARY_INVALID_ARGUMENT` when it is none, `GRANARY_CORRUPT` when it was changed,
 * `GRANARY_UNSUPPORTED` when it is of a newer version
 */
export const decodeClientFile = (bytes: Bytes): ClientFile => {
  const [json = '', checksum = ''] = bytes.length > MAX_BYTES ? [] : Buffer.from(bytes).toString('utf8').split('\n')
  const value = parse(json)
  if (value['format'] !== FORMAT) throw notOne()
  if (!constantTimeEqual(Buffer.from(checksum), Buffer.from(checksumOf(json)))) {
    throw new GranaryError('GRANARY_CORRUPT', 'client file: its checksum does not fit, so it was changed or cut off', {
      hint: 'copy it again from where it was made, or make another one with `granary client add`',
    })
  }
  if (value['version'] !== VERSION) {
    throw new GranaryError(
      'GRANARY_UNSUPPORTED',
      `client file: version ${String(value['version'])}, this program reads ${VERSION}`,
    )
  }
  const list = value['generations']
  if (!Array.isArray(list)) throw notOne()
  const generations = new Map(
    (list as Record<string, unknown>[]).map(each => [each['generation'] as number, readGeneration(each)]),
  )
  const current = value['current'] as number
  if (!generations.has(current)) throw notOne()
  return {
    repository: text(value, 'repository'),
    id: text(value, 'id'),
    name: text(value, 'name'),
    created: text(value, 'created'),
    chunkId: key(value, 'chunkId'),
    mapId: key(value, 'mapId'),
    chunker: key(value, 'chunker'),
    index: key(value, 'index'),
    current,
    generations,
    sealTo: key(value, 'sealTo'),
    signingSeed: key(value, 'signingSeed'),
  }
}

const parse = (json: string): Record<string, unknown> => {
  try {
    const value: unknown = JSON.parse(json)
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>
  } catch {
    // Told below: the file's content is secret and stays out of the cause.
  }
  throw notOne()
}

const readGeneration = (value: Record<string, unknown>): ClientGeneration => ({
  map: key(value, 'map'),
  manifest: key(value, 'manifest'),
  session: key(value, 'session'),
  holder: key(value, 'holder'),
})

const text = (value: Record<string, unknown>, field: string): string => {
  const found = value[field]
  if (typeof found === 'string') return found
  throw notOne()
}

const key = (value: Record<string, unknown>, field: string): Bytes => {
  const found = value[field]
  if (typeof found === 'string' && /^[0-9a-f]{64}$/.test(found)) return new Uint8Array(Buffer.from(found, 'hex'))
  throw notOne()
}

const checksumOf = (json: string): string => hexOfId(blake3(Buffer.from(json)))

const notOne = (): GranaryError =>
  new GranaryError('GRANARY_INVALID_ARGUMENT', 'this is no client file of Granary', {
    hint: '`granary client add NAME FILE` makes one, where the key file or passphrase is',
  })
