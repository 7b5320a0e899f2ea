/**
 * The header of LUKS2: a binary part and JSON, twice on the disk.
 *
 * @see LUKS2 On-Disk Format Specification 1.1.1, sections 2 and 3
 * @module
 */
import { createHash } from 'node:crypto'
import type { AbortOptions, Bytes } from '@granary/core'
import type { CachedDisk } from '../../disk/cached-disk.ts'
import { corrupt, unsupported } from '../../errors.ts'
import { Fields } from '../../format/fields.ts'
import { paddedText } from '../../filesystems/swap.ts'
import { checkKdf, checkKeyslot } from './header.ts'
import type { Digest, Kdf, Keyslot, LuksHeader, Segment } from './header.ts'

const BINARY_BYTES = 4096
const MAX_HEADER_BYTES = 4 * 1024 * 1024
const CHECKSUM = { offset: 448, bytes: 64 } as const

/** Where the second header may be: right behind the first, whose size is one of these. */
export const SECOND_OFFSETS = [0x4000, 0x8000, 0x1_0000, 0x2_0000, 0x4_0000, 0x8_0000, 0x10_0000, 0x20_0000, 0x40_0000]

/** The newer of the two that are whole. @throws GranaryError `GRANARY_CORRUPT`, `GRANARY_UNSUPPORTED`, `GRANARY_LIMIT` */
export const readHeader2 = async (disk: CachedDisk, options: AbortOptions): Promise<LuksHeader> => {
  let best: { sequence: bigint; json: string } | undefined
  let problem: unknown
  for (const offset of [0, ...SECOND_OFFSETS]) {
    try {
      const found = await readCopy(disk, offset, options)
      if (found !== undefined && (best === undefined || found.sequence > best.sequence)) best = found
    } catch (error) {
      options.signal?.throwIfAborted()
      problem ??= error
    }
  }
  if (best === undefined) throw problem ?? corrupt('LUKS2 header', 'one of the two', 'none')
  return parseMetadata(best.json)
}

const readCopy = async (
  disk: CachedDisk,
  offset: number,
  options: AbortOptions,
): Promise<{ sequence: bigint; json: string } | undefined> => {
  if (offset + BINARY_BYTES > disk.sizeBytes) return undefined
  const where = `LUKS2 header at ${offset}`
  const binary = new Fields(await disk.bytes(offset, BINARY_BYTES, where, options), where, 'big')
  if (binary.ascii(0, 6) !== (offset === 0 ? 'LUKS\xba\xbe' : 'SKUL\xba\xbe')) return undefined
  const sizeBytes = binary.u64(8)
  if (sizeBytes <= BINARY_BYTES || sizeBytes > MAX_HEADER_BYTES || binary.u64(256) !== offset)
    throw corrupt(
      where,
      `a header of up to ${MAX_HEADER_BYTES} bytes in its place`,
      `${sizeBytes} of ${binary.u64(256)}`,
    )
  const whole = (await disk.bytes(offset, sizeBytes, where, options)).slice()
  const wanted = Buffer.from(whole.subarray(CHECKSUM.offset, CHECKSUM.offset + CHECKSUM.bytes)).toString('hex')
  whole.fill(0, CHECKSUM.offset, CHECKSUM.offset + CHECKSUM.bytes)
  const sum = createHash(hashName(paddedText(binary, 72, 32), where))
    .update(whole)
    .digest('hex')
  if (!wanted.startsWith(sum)) throw corrupt(where, `checksum ${sum}`, wanted.slice(0, sum.length))
  const json = whole.subarray(BINARY_BYTES)
  const end = json.indexOf(0)
  return { sequence: binary.big64(16), json: Buffer.from(end < 0 ? json : json.subarray(0, end)).toString('utf8') }
}

const hashName = (name: string, where: string): string => {
  if (/^sha(1|224|256|384|512)$/.test(name)) return name
  throw unsupported(where, `checksums by ${name}`)
}

/** Fields of an object in JSON, where what is missing or of another type is an error with its name. */
class Json {
  readonly #value: Readonly<Record<string, unknown>>
  readonly where: string

  constructor(value: unknown, where: string) {
    if (typeof value !== 'object' || value === null) throw corrupt(where, 'an object', typeof value)
    this.#value = value as Readonly<Record<string, unknown>>
    this.where = where
  }

  has(name: string): boolean {
    return this.#value[name] !== undefined
  }

  object(name: string): Json {
    return new Json(this.#value[name], `${this.where}.${name}`)
  }

  objects(name: string): (readonly [string, Json])[] {
    const inner = this.object(name)
    return Object.keys(inner.#value).map(key => [key, inner.object(key)] as const)
  }

  text(name: string): string {
    const value = this.#value[name]
    if (typeof value !== 'string') throw corrupt(`${this.where}.${name}`, 'text', typeof value)
    return value
  }

  texts(name: string): string[] {
    const value = this.#value[name]
    if (!Array.isArray(value)) throw corrupt(`${this.where}.${name}`, 'a list', typeof value)
    return value.map(String)
  }

  /** Large numbers are text in this JSON. */
  number(name: string): number {
    const value = Number(this.#value[name])
    if (!Number.isSafeInteger(value) || value < 0)
      throw corrupt(`${this.where}.${name}`, 'a number', String(this.#value[name]))
    return value
  }

  bytes(name: string): Bytes {
    return Uint8Array.from(Buffer.from(this.text(name), 'base64'))
  }
}

const parseMetadata = (text: string): LuksHeader => {
  const where = 'LUKS2 metadata'
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw corrupt(where, 'JSON', String(error))
  }
  const json = new Json(value, where)
  const requirements = json.object('config').has('requirements')
    ? json.object('config').object('requirements').texts('mandatory')
    : []
  if (requirements.length > 0) throw unsupported(where, `requirements of its writer: ${requirements.join(', ')}`)
  return {
    segment: segmentOf(json),
    keyslots: json.objects('keyslots').flatMap(([name, slot]) => keyslotOf(name, slot)),
    digests: json.objects('digests').map(([, digest]) => digestOf(digest)),
  }
}

const segmentOf = (json: Json): Segment => {
  const segments = json.objects('segments')
  const [only] = segments
  if (only === undefined || segments.length > 1)
    throw unsupported(json.where, `${segments.length} segments: it was being encrypted anew`)
  const segment = only[1]
  if (segment.text('type') !== 'crypt') throw unsupported(segment.where, `type ${segment.text('type')}`)
  if (segment.has('integrity')) throw unsupported(segment.where, 'integrity (dm-integrity) below the encryption')
  const size = segment.text('size')
  return {
    offset: segment.number('offset'),
    ...(size === 'dynamic' ? {} : { sizeBytes: segment.number('size') }),
    cipher: segment.text('encryption'),
    sectorBytes: segment.number('sector_size'),
    firstSector: segment.number('iv_tweak'),
  }
}

/** Slots of other types, as of a change that goes on, hold no key of the volume. */
const keyslotOf = (name: string, slot: Json): Keyslot[] => {
  if (slot.text('type') !== 'luks2') return []
  const [area, split] = [slot.object('area'), slot.object('af')]
  const keyslot: Keyslot = {
    name,
    kdf: kdfOf(slot.object('kdf')),
    offset: area.number('offset'),
    cipher: area.text('encryption'),
    areaKeyBytes: area.number('key_size'),
    keyBytes: slot.number('key_size'),
    stripes: split.number('stripes'),
    splitHash: split.text('hash'),
  }
  checkKeyslot(keyslot, slot.where)
  return [keyslot]
}

const kdfOf = (kdf: Json): Kdf => {
  const kind = kdf.text('type')
  const salt = kdf.bytes('salt')
  if (kind === 'pbkdf2') return { kind, salt, hash: kdf.text('hash'), iterations: kdf.number('iterations') }
  if (kind !== 'argon2i' && kind !== 'argon2id') throw unsupported(kdf.where, `key derivation by ${kind}`)
  return { kind, salt, passes: kdf.number('time'), memoryKiB: kdf.number('memory'), lanes: kdf.number('cpus') }
}

const digestOf = (digest: Json): Digest => {
  const kdf = kdfOf(digest)
  if (kdf.kind !== 'pbkdf2') throw unsupported(digest.where, `a digest by ${kdf.kind}`)
  checkKdf(kdf, digest.where)
  return { kdf, digest: digest.bytes('digest'), keyslots: digest.texts('keyslots') }
}
