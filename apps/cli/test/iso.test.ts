/** Files of a guest in an ISO image, as other programs read it. */
import {
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { parseJsonLines, seededBytes } from '@granary/testing'
import t from 'tap'
import { createRepository, granary } from './in-process.ts'
import { peer, whyNo } from './peers.ts'

t.setTimeout(600_000)

t.test(
  'extract writes files, an archive, or both into an ISO image',
  { skip: whyNo('mkfs.ext4', 'xorriso', 'tar') },
  async t => {
    const { folder, env } = await createRepository(t)
    const files = mkdtempSync(join(folder, 'files-'))
    const home = join(files, 'home')
    mkdirSync(home)
    for (let i = 0; i < 40; i++) writeFileSync(join(home, `файл-${i}`), seededBytes(i * 997, i))
    writeFileSync(join(home, 'large'), seededBytes(9_000_000, 3))
    writeFileSync(join(home, `${'длинное имя '.repeat(8)}.txt`), 'long')
    linkSync(join(home, 'large'), join(home, 'linked'))
    symlinkSync('файл-7', join(home, 'link'))
    const disk = join(folder, 'web.raw')
    await peer('mkfs.ext4', '-q', '-F', '-d', files, disk, '40M')
    t.equal((await granary(['backup', disk], { env })).code, 0)

    const image = join(folder, 'home.iso')
    const made = await granary(['extract', 'granary:latest:disk:/home', '--to', image, '--json'], { env })
    t.equal(made.code, 0, made.stderr)
    const [report] = parseJsonLines(made.text)
    t.match(report, {
      type: 'iso',
      v: 1,
      target: image,
      files: 44,
      folders: 2,
      sizeBytes: statSync(image).size,
      failed: 0,
    })
    await peer('xorriso', '-osirrox', 'on', '-indev', image, '-extract', '/', join(folder, 'out'))
    t.strictSame(readdirSync(join(folder, 'out', 'home')).sort(), readdirSync(home).sort())
    for (const name of readdirSync(home))
      t.ok(readFileSync(join(folder, 'out', 'home', name)).equals(readFileSync(join(home, name))), name)
    t.ok(statSync(image).size < 12_000_000, 'what has two names stands in it once')

    const both = join(folder, 'both.iso')
    t.equal(
      (await granary(['extract', 'granary:latest:disk:/home', '--to', both, '--iso-content', 'both'], { env })).code,
      0,
    )
    const tar = join(folder, 'tar.iso')
    t.equal(
      (await granary(['extract', 'granary:latest:disk:/home', '--to', tar, '--iso-content', 'tar'], { env })).code,
      0,
    )
    for (const path of [both, tar]) {
      const out = `${path}-out`
      await peer('xorriso', '-osirrox', 'on', '-indev', path, '-extract', '/', out)
      t.equal(readdirSync(out).includes('home'), path === both)
      mkdirSync(join(out, 'unpacked'))
      await peer('tar', '-x', '-f', join(out, 'granary.tar'), '-C', join(out, 'unpacked'))
      for (const name of readdirSync(home))
        t.ok(readFileSync(join(out, 'unpacked', 'home', name)).equals(readFileSync(join(home, name))), name)
    }

    t.equal(
      (await granary(['extract', 'granary:latest:disk:/home', '--to', image], { env })).code,
      11,
      'never over another',
    )
    const wrong = await granary(['extract', 'granary:latest:disk:/nowhere', '--to', join(folder, 'no.iso')], { env })
    t.equal(wrong.code, 10)
    t.strictSame(
      readdirSync(folder).filter(name => name.startsWith('no.iso')),
      [],
      'nothing half-written',
    )
    t.equal(
      (
        await granary(['extract', 'granary:latest:disk', '--to', join(folder, 'x.iso'), '--iso-content', 'cake'], {
          env,
        })
      ).code,
      2,
    )
  },
)
