/** The file backend between real processes. */
import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { fileBackend } from '@granary/dedup-store'

const CHILD = fileURLToPath(new URL('./file-process.child.js', import.meta.url))

const start = async (task: string, root: string, name: string): Promise<ChildProcess> => {
  const child = fork(CHILD, [task, root, name])
  t.teardown(() => child.kill('SIGKILL'))
  await once(child, 'message')
  return child
}

t.test('of several processes exactly one wins each decision, and all see the same', async t => {
  const root = t.testdir({})
  const ROUNDS = 100
  const names = ['a', 'b', 'c']
  const children = await Promise.all(names.map(async name => await start('race', root, name)))
  const won = new Map<string, number>()
  for (let i = 0; i < ROUNDS; i++) {
    const key = `commit/${i}`
    // Another one hears of it first in each round.
    const order = children.map((_, at) => (at + i) % children.length)
    const answers = await Promise.all(
      order.map(async at => {
        const child = children[at] as ChildProcess
        const answer = once(child, 'message')
        child.send(key)
        return { name: names[at], ...((await answer)[0] as { result: string; seen: string }) }
      }),
    )
    const winners = answers.filter(({ result }) => result === 'stored').map(({ name }) => name)
    if (winners.length !== 1 || answers.some(({ seen }) => seen !== winners[0]))
      t.fail(JSON.stringify({ key, answers }))
    won.set(`${winners[0]}`, (won.get(`${winners[0]}`) ?? 0) + 1)
  }
  t.comment(`won: ${JSON.stringify([...won])}`)
  t.same(
    (await readdir(join(root, 'commit'))).toSorted(),
    Array.from({ length: ROUNDS }, (_, i) => `${i}`).toSorted(),
    'no temporary files',
  )
})

t.test('a killed writer is known to be dead, and what it left is swept', async t => {
  const root = t.testdir({})
  const backend = fileBackend(root)
  const child = await start('hang', root, 's-1')
  const writing = once(child, 'message')
  child.send(0)
  await writing
  const left = async (): Promise<string[]> =>
    (await readdir(join(root, 'packs/aa'))).filter(name => name.startsWith('.tmp-s-1-'))
  const isHeld = await backend.isHeld('s-1')
  t.not(isHeld, false, 'it lives')
  t.equal(await backend.sweep(async owner => (await backend.isHeld(owner)) !== false), 0)
  t.equal((await left()).length, 1)

  const ended = once(child, 'exit')
  child.kill('SIGKILL')
  await ended
  if (isHeld === undefined) t.comment('no locks on this machine')
  else t.equal(await backend.isHeld('s-1'), false, 'it is dead')
  t.equal(await backend.stat('packs/aa-1'), undefined)
  t.equal(await backend.sweep(async () => false), isHeld === undefined ? 1 : 2, 'its temporary file and its lock')
  t.same(await left(), [])
  t.same(await readdir(join(root, '.locks')), [])
})
