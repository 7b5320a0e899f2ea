import { performance } from 'node:perf_hooks'
import { seededRandom } from '@granary/testing/simulation'
import { FULL_PROTOCOL } from '../../src/gc/protocol.ts'
import { makeHistory } from './history.ts'
import { seedRandomBytes } from './seeded-crypto.ts'
import { describe, explore } from './world.ts'
import { verifyNoLeftovers, verifyRecovery, verifySnapshots } from './verify.ts'
import { reopen, stillClock } from './history.ts'

const [from = 0, to = 20, show = 0] = process.argv.slice(2).map(Number)
const FAULTS = process.env['FAULTS'] ? { lostAnswer: 60, late: 120, duplicate: 60, failure: 300, stale: 20, mayBeStale: (p: string) => p === 'forget/' } : undefined
seedRandomBytes(1)
const histories = []
for (let i = 0; i < 12; i++) histories.push(await makeHistory(i % 4, seededRandom(900 + i)))
const kinds = new Map<string, { n: number; seed: number; text: string }>()
let steps = 0
let prefixes = 0
const start = performance.now()
for (let seed = from; seed < to; seed++) {
  seedRandomBytes(seed)
  const history = histories[seed % histories.length]!
  let wrong: string[] = []
  try {
    const explored = await explore({ seed, history, protocol: { ...FULL_PROTOCOL, ...JSON.parse(process.env['P'] ?? '{}') }, ...(FAULTS ? { faults: FAULTS } : {}) })
    wrong = explored.wrong
    steps += explored.run.trace.length
    const present = (n: number) => new Set([...explored.promised].filter(([id, at]) => at <= n && (explored.forgotten.get(id) ?? Infinity) > n).map(([id]) => id))
    const expected = (n: number) => ({ template: history.template, contents: explored.contents, present: present(n) })
    const all = explored.storage.changes.length
    const backend = await explored.storage.at(all)
    wrong.push(...await verifyRecovery(backend, expected(all), explored.run.endMs))
    if (wrong.length === 0) wrong.push(...await verifyNoLeftovers(backend, expected(all), explored.run.endMs))
    const every = process.env['EVERY'] ? 1 : Math.ceil(all / 3)
    for (let n = seed % every; n < all && wrong.length === 0; n += every) {
      prefixes++
      wrong.push(...(await verifySnapshots(reopen(history.template, await explored.storage.at(n), stillClock(explored.run.endMs + 20000)), expected(n))).map(t => `prefix ${n}: ${t}`))
      if (n % 10 === seed % 10 || !process.env['EVERY']) wrong.push(...(await verifyRecovery(await explored.storage.at(n), expected(n), explored.run.endMs)).map(t => `prefix ${n}: ${t}`))
    }
    if (show === seed && show) { console.log(describe(explored)) }
  } catch (error) {
    wrong.push(`run: ${(error as Error).stack}`)
  }
  for (const text of wrong) {
    const kind = text.replace(/[0-9a-f]{16,}/g, 'X').replace(/\d+/g, 'N').slice(0, 160)
    const k = kinds.get(kind) ?? { n: 0, seed, text }
    k.n++
    kinds.set(kind, k)
  }
}
const ms = performance.now() - start
console.log(`${to - from} runs, ${steps} steps, ${prefixes} prefixes, ${Math.round(ms / (to - from))} ms a run`)
for (const { n, seed, text } of kinds.values()) console.log(`${n}x, first seed ${seed}: ${text.slice(0, 900)}`)
