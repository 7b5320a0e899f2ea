import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseJsonLines, seededBytes } from '@granary/testing'
import t from 'tap'
import { granary, scratchFolder } from './in-process.ts'

t.test('seal and open a file, whole and a part of it', async t => {
  const folder = scratchFolder(t)
  const [key, plain] = [join(folder, 'key'), join(folder, 'dump.sql')]
  const env = { GRANARY_KEY_FILE: key }
  t.equal((await granary(['key', 'create', key])).code, 0)
  const content = seededBytes(700_001, 1)
  writeFileSync(plain, content)
  const sealed = await granary(['seal', plain, '--json'], { env })
  t.equal(sealed.code, 0, sealed.stderr)
  t.match(parseJsonLines(sealed.text), [
    {
      type: 'sealed',
      v: 1,
      source: plain,
      target: `${plain}.sealed`,
      suite: 'aes-256-gcm',
      sizeBytes: 700_001,
      sealedBytes: 700_001 + 76 + 7 * 38,
    },
  ])
  t.equal((await granary(['seal', plain], { env })).code, 11, 'never over a file')
  t.equal((await granary(['open', `${plain}.sealed`], { env })).code, 11)
  const out = join(folder, 'out')
  const opened = await granary(['open', `${plain}.sealed`, out, '--json'], { env })
  t.match(parseJsonLines(opened.text), [{ type: 'opened', v: 1, target: out, sizeBytes: 700_001 }])
  t.ok(readFileSync(out).equals(content))
  const part = await granary(['open', `${plain}.sealed`, '-', '--offset', '500000', '--length', '1000'], { env })
  t.ok(part.stdout.equals(content.subarray(500_000, 501_000)))
  const tail = await granary(['open', `${plain}.sealed`, '-', '--offset', '700000'], { env })
  t.ok(tail.stdout.equals(content.subarray(700_000)))
  t.equal((await granary(['open', `${plain}.sealed`, '-', '--offset', '700000', '--length', '2'], { env })).code, 2)
  t.strictSame(readdirSync(folder).toSorted(), ['dump.sql', 'dump.sql.sealed', 'key', 'out'])
})

t.test('through pipes, with another suite', async t => {
  const folder = scratchFolder(t)
  const key = join(folder, 'key')
  const env = { GRANARY_KEY_FILE: key }
  t.equal((await granary(['key', 'create', key])).code, 0)
  const content = seededBytes(300_000, 2)
  const input = [content.subarray(0, 100_000), content.subarray(100_000)]
  const sealed = await granary(['seal', '-', '--suite', 'kuznyechik-mgm'], { env, input })
  t.equal(sealed.code, 0, sealed.stderr)
  const opened = await granary(['open', '-'], { env, input: [sealed.stdout] })
  t.equal(opened.code, 0, opened.stderr)
  t.ok(opened.stdout.equals(content))
  t.equal((await granary(['open', '-', '--offset', '5'], { env, input: [sealed.stdout] })).code, 2)
  t.equal((await granary(['seal', '-', '--suite', 'rot13'], { env, input })).code, 15)
})

t.test('what was changed or cut off, and another key: an error, and no file', async t => {
  const folder = scratchFolder(t)
  const [key, other, bad] = [join(folder, 'key'), join(folder, 'other'), join(folder, 'bad')]
  const env = { GRANARY_KEY_FILE: key }
  for (const path of [key, other]) t.equal((await granary(['key', 'create', path])).code, 0)
  const { stdout } = await granary(['seal', '-'], { env, input: [seededBytes(400_000, 3)] })
  const flipped = Buffer.from(stdout)
  flipped[200_000] = (flipped[200_000] as number) ^ 1
  const out = join(folder, 'out')
  for (const [content, code] of [
    [flipped, 31],
    [stdout.subarray(0, 300_000), 30],
    [stdout.subarray(0, 10), 30],
    [Buffer.alloc(1000), 30],
  ] as const) {
    writeFileSync(bad, content)
    t.equal((await granary(['open', bad, out], { env })).code, code)
    t.notOk(existsSync(out))
  }
  writeFileSync(bad, stdout)
  t.equal((await granary(['open', bad, out, '--key-file', other])).code, 13)
  t.equal((await granary(['open', bad, out])).code, 2, 'no key')
  t.equal((await granary(['open', join(folder, 'none'), out], { env })).code, 10)
  t.equal((await granary(['seal', join(folder, 'none')], { env })).code, 10)
  t.strictSame(readdirSync(folder).toSorted(), ['bad', 'key', 'other'])
})
