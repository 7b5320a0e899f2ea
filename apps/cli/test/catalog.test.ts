/** Lists of files: made with a backup or later, searched, removed. */
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseJsonLines } from '@granary/testing'
import t from 'tap'
import { createRepository, granary } from './in-process.ts'
import { peer, whyNo } from './peers.ts'

t.setTimeout(600_000)

t.test(
  'files are listed, found, and extracted by the address that was found',
  { skip: whyNo('mkfs.ext4') },
  async t => {
    const { folder, env: given } = await createRepository(t)
    const env = { ...given, GRANARY_INDEX: join(folder, 'cache', 'index') }
    const files = mkdtempSync(join(folder, 'files-'))
    mkdirSync(join(files, 'Документы'))
    for (let i = 0; i < 30; i++) writeFileSync(join(files, 'Документы', `Счёт-${i}.PDF`), 'x'.repeat(1000 + i))
    const disk = join(folder, 'web.raw')
    await peer('mkfs.ext4', '-q', '-F', '-d', files, disk, '16M')

    const made = await granary(['backup', disk, '--file-list', '--json'], { env })
    t.equal(made.code, 0, made.stderr)
    const [snapshot, catalog] = parseJsonLines(made.text) as [{ id: string }, object]
    t.match(catalog, {
      type: 'catalog',
      v: 1,
      snapshot: snapshot.id,
      files: 33,
      warnings: 0,
      storedBytes: Number,
      seconds: Number,
    })
    t.equal(
      parseJsonLines((await granary(['snapshots', '--json'], { env })).text).length,
      1,
      'no catalog among the snapshots',
    )

    const found = await granary(['find', 'счёт-1', '--suffix', '.pdf', '--sort', 'size', '--limit', '4', '--json'], {
      env,
    })
    t.equal(found.code, 0, found.stderr)
    const rows = parseJsonLines(found.text) as Record<string, string>[]
    t.match(rows[0], {
      ...{ type: 'file', v: 1, snapshot: snapshot.id, name: 'web', volume: 'disk', path: '/Документы/Счёт-19.PDF' },
      ...{ fileType: 'file', size: 1019, mode: '0644', uid: Number, gid: Number, mtime: String, id: String },
      address: `granary:${snapshot.id}:disk:/Документы/Счёт-19.PDF`,
    })
    t.match(rows.at(-1), { type: 'find-end', found: 4, snapshots: 1, next: String })
    const next = rows.at(-1)?.['next'] as string
    const rest = parseJsonLines(
      (await granary(['find', 'счёт-1', '--suffix', '.pdf', '--sort', 'size', '--after', next, '--json'], { env }))
        .text,
    )
    t.equal(rest.length, 7 + 1, 'the others, and the end')
    const target = join(folder, 'out')
    t.equal((await granary(['extract', rows[0]?.['address'] as string, '--to', target], { env })).code, 0)
    t.equal(readFileSync(join(target, 'Счёт-19.PDF'), 'utf8').length, 1019)
    t.match(
      (await granary(['find', '--prefix', '/документы/', '--type', 'file', '--min-size', '1025'], { env })).text,
      /5 files in [0-9a-f]{8} of web/,
    )

    t.equal((await granary(['backup', disk], { env })).code, 0)
    const missing = await granary(['catalog', 'add', '--missing'], { env })
    t.equal(missing.code, 0, missing.stderr)
    t.match(missing.text, /33 files of [0-9a-f]{8} listed/)
    const listed = parseJsonLines((await granary(['catalog', 'list', '--json'], { env })).text)
    t.match(listed, [
      { type: 'cataloged', listed: String },
      { type: 'cataloged', listed: String },
    ])
    t.match((await granary(['find', 'счёт-7', '--all'], { env })).text, /2 files in 2 snapshots/)
    t.equal((await granary(['forget', snapshot.id], { env })).code, 0)
    t.match((await granary(['find', 'счёт-7', '--all'], { env })).text, /1 files in /)
    t.equal((await granary(['catalog', 'remove', 'latest'], { env })).code, 0)
    const none = await granary(['find', 'счёт'], { env })
    t.equal(none.code, 10)
    t.match(none.stderr, /granary catalog add/)
    t.match(await granary(['check'], { env }), { code: 0 })
  },
)

t.test('a backup whose files can not be listed is whole, and says so', async t => {
  const { folder, env } = await createRepository(t)
  const disk = join(folder, 'noise.raw')
  writeFileSync(disk, new Uint8Array(1 << 20).fill(0x5a))
  const made = await granary(['backup', disk, '--file-list'], { env })
  t.equal(made.code, 0, made.stderr)
  t.match(made.text, /0 files of [0-9a-f]{8} listed/)
})

t.test('values that are none are refused with what would do', async t => {
  const { env } = await createRepository(t)
  for (const [words, message] of [
    [['--from', 'yesterday'], /2026-11-01T14:00/],
    [['--min-size', 'big'], /10M/],
    [['--limit', '0'], /1 to 10000/],
    [['--owner', 'root'], /whole number/],
    [['--after', 'x'], /next/],
  ] as const) {
    const { code, stderr } = await granary(['find', ...words], {
      env: { ...env, GRANARY_INDEX: `${env['GRANARY_REPO']}-index` },
    })
    t.equal(code, 2, stderr)
    t.match(stderr, message)
  }
})
