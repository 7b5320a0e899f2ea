/** Sealed files outside of a repository. @module */
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import type { Readable, Writable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { GranaryError, fromSystemError, openRawReader, parseBytes } from '@granary/core'
import type { Bytes } from '@granary/core'
import { open as openStream, openSealedDisk, seal as sealStream, suiteByName } from '@granary/transform'
import type { Piece } from '@granary/transform'
import { textArgument, textOption } from '../command.ts'
import type { Command, Invocation } from '../command.ts'
import { writeNewFile } from '../disks/new-file.ts'
import { keyFileSecret, namedSecret } from '../secrets.ts'

const SEALED = '.sealed'

/** Read from a sealed file at a time. */
const READ_BYTES = 1024 * 1024

export const seal: Command = {
  name: 'seal',
  summary: 'seal a file, or standard input, under a key file: encrypted, and every byte authenticated',
  arguments: [
    { name: '<FILE>', description: 'what to seal, or - for standard input' },
    { name: '[TARGET]', description: 'new file, or - for standard output; FILE.sealed if not given' },
  ],
  options: [{ flags: '--suite <NAME>', description: 'how to encrypt: `granary suites` lists them' }],
  examples: [
    'granary seal dump.sql --key-file granary.key',
    'pg_dump web | granary seal - web.sealed --key-file granary.key',
  ],
  async run(invocation) {
    const { terminal, signal } = invocation
    const source = textArgument(invocation, 0)
    const target = targetOf(invocation, source === '-' ? '-' : `${source}${SEALED}`)
    const suite = suiteByName(textOption(invocation, 'suite') ?? 'aes-256-gcm').name
    const key = await streamKey(invocation)
    let sizeBytes = 0
    const counted = async function* (): AsyncGenerator<Bytes, void, undefined> {
      for await (const piece of readAll(source, invocation)) {
        sizeBytes += piece.length
        yield piece
      }
    }
    const sealedBytes = await write(target, sealStream({ key, suite, signal })(counted()), invocation)
    if (target === '-') return 0
    terminal.emit({ type: 'sealed', v: 1, source, target, suite, sizeBytes, sealedBytes })
    terminal.say(`sealed ${source} to ${target} with ${suite}: ${sizeBytes} bytes in ${sealedBytes}`)
    return 0
  },
}

export const open: Command = {
  name: 'open',
  summary: 'open a sealed file; with --offset and --length a part of it, without reading the rest',
  arguments: [
    { name: '<FILE>', description: 'sealed file, or - for standard input' },
    {
      name: '[TARGET]',
      description:
        'new file, or - for standard output; FILE without .sealed if not given, or standard output where it has no such end',
    },
  ],
  options: [
    { flags: '--offset <BYTES>', description: 'where to begin; such as 4096 or 2M' },
    { flags: '--length <BYTES>', description: 'how many bytes; to the end if not given' },
  ],
  examples: [
    'granary open dump.sql.sealed --key-file granary.key',
    'granary open web.sealed - --offset 1G --length 4096 --key-file granary.key',
  ],
  async run(invocation) {
    const { terminal } = invocation
    const source = textArgument(invocation, 0)
    const target = targetOf(invocation, source.endsWith(SEALED) ? source.slice(0, -SEALED.length) : '-')
    const key = await streamKey(invocation)
    const range = rangeOf(invocation)
    if (range !== undefined && source === '-')
      throw new GranaryError(
        'GRANARY_INVALID_ARGUMENT',
        '--offset and --length need a file: standard input is read in order',
      )
    const plain = range === undefined ? openInOrder(source, key, invocation) : openPart(source, key, range, invocation)
    const sizeBytes = await write(target, plain, invocation)
    if (target === '-') return 0
    terminal.emit({ type: 'opened', v: 1, source, target, sizeBytes })
    terminal.say(`opened ${source} to ${target}: ${sizeBytes} bytes, all as they were sealed`)
    return 0
  },
}

const targetOf = ({ arguments: given }: Invocation, usual: string): string => {
  const target = given[1]
  return typeof target === 'string' ? target : usual
}

const streamKey = async (invocation: Invocation): Promise<Bytes> => {
  const named = namedSecret(invocation)
  if (named?.kind === 'key-file') return (await keyFileSecret(named.path, invocation.terminal)).key
  throw new GranaryError('GRANARY_INVALID_ARGUMENT', 'a file is sealed under a key file: none was given', {
    hint: 'give --key-file FILE; `granary key create FILE` makes one',
  })
}

const readAll = (path: string, { terminal, signal }: Invocation): AsyncIterable<Bytes> =>
  path === '-' ? terminal.streams.stdin : readFileStream(path, signal)

async function* readFileStream(path: string, signal: AbortSignal): AsyncGenerator<Bytes, void, undefined> {
  const stream: Readable = createReadStream(path, { highWaterMark: READ_BYTES, signal })
  try {
    for await (const piece of stream) yield piece as Bytes
  } catch (error) {
    throw fromSystemError(error, `reading ${path}`)
  }
}

async function* openInOrder(
  source: string,
  key: Bytes,
  invocation: Invocation,
): AsyncGenerator<Bytes, void, undefined> {
  const { signal } = invocation
  for await (const piece of openStream({ key, signal })(readAll(source, invocation))) yield* bytesOf(piece)
}

/** `granary seal` makes plain bytes only; another program may have put runs of zeros there, too. */
function* bytesOf(piece: Piece): Generator<Bytes, void, undefined> {
  if (piece.kind === 'data') {
    if ((piece.compression ?? 0) !== 0)
      throw new GranaryError('GRANARY_UNSUPPORTED', 'this stream is compressed: open it with uncompress() of the SDK')
    yield piece.bytes
    return
  }
  for (let left = piece.length; left > 0; left -= READ_BYTES) yield new Uint8Array(Math.min(left, READ_BYTES))
}

interface Range {
  readonly offset: number
  readonly length: number | undefined
}

const rangeOf = (invocation: Invocation): Range | undefined => {
  const [offset, length] = [textOption(invocation, 'offset'), textOption(invocation, 'length')]
  if (offset === undefined && length === undefined) return undefined
  return { offset: parseBytes(offset ?? '0'), length: length === undefined ? undefined : parseBytes(length) }
}

async function* openPart(
  source: string,
  key: Bytes,
  { offset, length }: Range,
  { signal }: Invocation,
): AsyncGenerator<Bytes, void, undefined> {
  await using disk = await openSealedDisk(await openRawReader(source), { key, signal })
  const end = offset + (length ?? Math.max(0, disk.sizeBytes - offset))
  for (let at = offset; at < end; at += READ_BYTES) {
    const piece = new Uint8Array(Math.min(READ_BYTES, end - at))
    await disk.read(at, piece, { signal })
    yield piece
  }
}

const write = async (
  target: string,
  pieces: AsyncIterable<Bytes>,
  { terminal, signal }: Invocation,
): Promise<number> => {
  if (target !== '-') {
    if (await exists(target)) throw new GranaryError('GRANARY_EXISTS', `${target} exists`, { detail: { path: target } })
    return await writeNewFile(target, pieces, { signal })
  }
  const { stdout } = terminal.streams
  let written = 0
  for await (const piece of pieces) {
    written += piece.length
    if (!stdout.write(piece)) await drained(stdout, signal)
  }
  return written
}

const drained = async (stream: Writable, signal: AbortSignal): Promise<void> => {
  await Promise.race([
    new Promise(resolve => stream.once('drain', resolve)),
    finished(stream, { readable: false, signal }),
  ])
}

const exists = async (path: string): Promise<boolean> =>
  await stat(path).then(
    () => true,
    () => false,
  )
