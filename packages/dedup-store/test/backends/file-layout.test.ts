import fc from 'fast-check'
import t from 'tap'
import { fileBackend, memoryBackend } from '@granary/dedup-store'
import type { Backend } from '@granary/dedup-store'
import { crashFileSystem } from '@granary/testing'

const RUNS = process.env['GRANARY_TEST_LONG'] ? 5000 : 300

const keysOf = async (backend: Backend, prefix: string): Promise<string[]> => {
  const keys: string[] = []
  for await (const { key } of backend.list(prefix)) keys.push(key)
  return keys
}

/** Keys that sort badly: of few characters, around `.`, `-`, `/` and `0`, half of them in the spread folder. */
const segment = fc.stringMatching(/^[ab0-][ab0.-]{0,3}$/)
const key = fc
  .tuple(fc.constantFrom('packs', 'index', 'a'), fc.array(segment, { minLength: 1, maxLength: 3 }))
  .map(([first, rest]) => [first, ...rest].join('/'))

t.test('files are listed as any other storage lists them', async t => {
  await t.resolves(
    fc.assert(
      fc.asyncProperty(fc.uniqueArray(key, { maxLength: 30 }), fc.nat(), async (all, cut) => {
        // No key is another's folder.
        const keys = all.filter(key => !all.some(other => other.startsWith(`${key}/`)))
        const memory = memoryBackend()
        const files = fileBackend('/', { fs: crashFileSystem() })
        for (const key of keys) {
          await memory.put(key, Buffer.from(key))
          await files.put(key, Buffer.from(key), { durable: false })
        }
        const source = keys[cut % Math.max(1, keys.length)] ?? ''
        const prefix = source.slice(0, cut % (source.length + 1))
        for (const start of ['', 'packs/', prefix]) {
          const [wanted, found] = [await keysOf(memory, start), await keysOf(files, start)]
          if (wanted.join(' ') !== found.join(' '))
            throw new Error(`prefix '${start}': ${found.join(' ')}, not ${wanted.join(' ')}`)
        }
        for (const key of keys) if (Buffer.from(await files.get(key)).toString() !== key) throw new Error(key)
      }),
      { seed: 11, numRuns: RUNS },
    ),
  )
})
