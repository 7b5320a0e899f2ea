/** The command line inside the test's own process: what it prints and gives back, without the cost of a process. */
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable, Writable } from 'node:stream'
import type { GranaryResult } from '@granary/testing'
import { main } from '../src/main.ts'

export interface MainOptions {
  readonly env?: Readonly<Record<string, string>>
  readonly input?: readonly Uint8Array[]
}

/** Collects what is written to it. */
class Collector extends Writable {
  readonly #chunks: Buffer[] = []

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#chunks.push(Buffer.from(chunk))
    done()
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#chunks)
  }
}

/** Runs one command line. */
export const granary = async (
  parameters: readonly string[],
  { env = {}, input = [] }: MainOptions = {},
): Promise<GranaryResult> => {
  const [stdout, stderr] = [new Collector(), new Collector()]
  const code = await main(parameters, { stdin: Readable.from(input), stdout, stderr, env })
  return { code, stdout: stdout.bytes, text: stdout.bytes.toString('utf8'), stderr: stderr.bytes.toString('utf8') }
}

/** The part of a tap test that these need. */
interface Teardown {
  teardown(action: () => void): void
}

/** A folder of the test's own, removed at its end. */
export const scratchFolder = (t: Teardown): string => {
  const folder = mkdtempSync(join(tmpdir(), 'granary-cli-'))
  t.teardown(() => {
    if (existsSync(folder)) makeRemovable(folder)
    rmSync(folder, { recursive: true, force: true })
  })
  return folder
}

/** What came out of a guest has its modes: a folder that nobody may write to keeps all but root from removing what is in it. */
const makeRemovable = (folder: string | Buffer): void => {
  chmodSync(folder, 0o700)
  for (const entry of readdirSync(folder, { withFileTypes: true, encoding: 'buffer' }))
    if (entry.isDirectory()) makeRemovable(Buffer.concat([Buffer.from(folder), Buffer.from('/'), entry.name]))
}

/** A repository in a folder of its own, and the variables that open it. */
export const createRepository = async (
  t: Teardown,
  parameters: readonly string[] = [],
): Promise<{ folder: string; repo: string; key: string; env: Record<string, string> }> => {
  const folder = scratchFolder(t)
  const [repo, key] = [join(folder, 'repo'), join(folder, 'key')]
  const { code, stderr } = await granary(['init', repo, '--key-file', key, ...parameters])
  if (code !== 0) throw new Error(`init: ${stderr}`)
  return { folder, repo, key, env: { GRANARY_REPO: repo, GRANARY_KEY_FILE: key } }
}
