/** Recorded exchanges with a real daemon: the curl line that was run, and what came back. CONTRACT §14 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { RawRequest } from './raw-http.ts'

export interface Capture {
  readonly name: string
  readonly service: 'remote' | 'local' | 'control'
  readonly request: RawRequest
  /** Header lines without the date, informational answers included. */
  readonly head: string[]
  /** Undefined where the body was not recorded. */
  readonly body: Buffer | undefined
}

/** Bodies that the recorder kept in files. */
const FILES: Readonly<Record<string, Uint8Array>> = {
  '@z64k': new Uint8Array(65_536),
  z64k: new Uint8Array(65_536),
  '@8m': new Uint8Array(8 * 1024 * 1024),
}

export const withoutDate = (lines: readonly string[]): string[] => lines.filter(line => !line.startsWith('date: '))

/** @returns undefined where the file holds no single request with its answer */
export const readCapture = (folder: string, name: string): Capture | undefined => {
  const bytes = readFileSync(join(folder, name))
  const firstEnd = bytes.indexOf('\n')
  const command = bytes.subarray(0, firstEnd).toString()
  const answer = answerOf(bytes.subarray(firstEnd + 1))
  if (!command.startsWith('### ') || answer === undefined) return undefined
  const ticket = /^### tk (\S+) (\{.*\})$/.exec(command)
  if (ticket !== null) {
    const request = { method: 'PUT', path: `/tickets/${ticket[1]}`, body: Buffer.from(ticket[2] ?? '') }
    return { name, service: 'control', request, ...answer }
  }
  const curl = parseCurl(command.slice('### curl '.length).split(' '))
  return { name, ...curl, head: answer.head, body: curl.isBodyKept ? answer.body : undefined }
}

const answerOf = (bytes: Buffer): { head: string[]; body: Buffer } | undefined => {
  // Lines of `curl -v` come before the answer itself.
  let start = bytes.indexOf('HTTP/1.1 ')
  while (start > 0 && bytes[start - 1] !== 0x0a) start = bytes.indexOf('HTTP/1.1 ', start + 1)
  if (start < 0) return verboseAnswer(bytes)
  const head: string[] = []
  let at = start
  do {
    const end = bytes.indexOf('\r\n\r\n', at)
    head.push(...bytes.subarray(at, end).toString('latin1').split('\r\n'))
    at = end + 4
  } while (bytes.subarray(at, at + 9).toString() === 'HTTP/1.1 ')
  return cutBody(head, bytes.subarray(at))
}

const LENGTH = 'content-length: '

/** The recorder made the paths in JSON bodies shorter: there the body ends with its line, and its length is told anew. */
const cutBody = (head: string[], rest: Buffer): { head: string[]; body: Buffer } => {
  const declared = Number(head.findLast(line => line.startsWith(LENGTH))?.slice(LENGTH.length))
  const line = rest.subarray(0, rest.indexOf('\n') + 1)
  if (!/"(unix_socket|url)": /.test(line.toString())) return { head, body: rest.subarray(0, declared) }
  return { head: head.map(one => (one.startsWith(LENGTH) ? `${LENGTH}${line.length}` : one)), body: line }
}

/** Where only the lines of `curl -v` tell the header. */
const verboseAnswer = (bytes: Buffer): { head: string[]; body: Buffer } | undefined => {
  const end = bytes.lastIndexOf('< \r\n')
  if (end < 0) return undefined
  const head = bytes
    .subarray(0, end)
    .toString('latin1')
    .split('\r\n')
    .filter(line => line.startsWith('< '))
    .map(line => line.slice(2))
  return cutBody(head, bytes.subarray(end + 4))
}

interface Curl {
  readonly service: Capture['service']
  readonly request: RawRequest
  readonly isBodyKept: boolean
}

/** Options whose value may hold spaces, since the recorder wrote no quotes: a value ends where an option or the URL begins. */
const WITH_VALUE = new Set([
  '-X',
  '-H',
  '-r',
  '-d',
  '-T',
  '-D',
  '-o',
  '--data-binary',
  '--cacert',
  '--max-time',
  '--unix-socket',
])

const parseCurl = (words: readonly string[]): Curl => {
  const { options, url } = splitWords(words)
  const isGiven = (name: string): boolean => options.some(([option]) => option === name)
  const of = (name: string): string | undefined => options.find(([option]) => option === name)?.[1]
  const isChunked = of('-T') === '-'
  const body = isChunked ? Buffer.from('0\r\n\r\n') : bodyOf(of('--data-binary') ?? of('-d') ?? of('-T'))
  const method = of('-X') ?? (isGiven('-I') ? 'HEAD' : isGiven('-T') ? 'PUT' : 'GET')
  const sockets: Readonly<Record<string, Capture['service']>> = { 'control.sock': 'control', 'images.sock': 'local' }
  return {
    service: sockets[of('--unix-socket') ?? ''] ?? 'remote',
    request: { method, path: url.replace(/^https?:\/\/[^/]+/, ''), headers: headersOf(options, body), body, isChunked },
    isBodyKept: !isGiven('-o'),
  }
}

/** curl asks before it sends a stream or more than a megabyte. */
const headersOf = (options: readonly [string, string][], body: Uint8Array | undefined): string[] => {
  const headers = options.filter(([option]) => option === '-H').map(([, value]) => value)
  for (const [option, value] of options) if (option === '-r') headers.push(`Range: bytes=${value}`)
  const isChunked = options.some(([option, value]) => option === '-T' && value === '-')
  if (isChunked) headers.push('Transfer-Encoding: chunked')
  const expects = isChunked || (body?.length ?? 0) > 1024 * 1024
  if (expects && !headers.some(header => header.startsWith('Expect'))) headers.push('Expect: 100-continue')
  return headers
}

const bodyOf = (sent: string | undefined): Uint8Array | undefined =>
  sent === undefined ? undefined : (FILES[sent] ?? Buffer.from(sent))

const splitWords = (words: readonly string[]): { options: [string, string][]; url: string } => {
  const options: [string, string][] = []
  let url = ''
  for (let at = 0; at < words.length; at++) {
    const word = words[at] as string
    if (/^https?:/.test(word)) url = word
    else if (WITH_VALUE.has(word)) {
      const value: string[] = []
      const isEnd = (next: string | undefined): boolean =>
        next === undefined || /^https?:\/\/localhost/.test(next) || (value.length > 0 && /^-/.test(next))
      while (!isEnd(words[at + 1])) value.push(words[++at] as string)
      options.push([word, value.join(' ')])
    } else options.push([word, ''])
  }
  return { options, url }
}
