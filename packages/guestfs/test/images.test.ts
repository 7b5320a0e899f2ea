import t from 'tap'
import type { Test } from 'tap'
import { openVolumes } from '../src/index.ts'
import type { Volume } from '../src/index.ts'
import { imageRows, imagesSkip, readManifest, unpack } from './helpers/images.ts'
import { differences, hashOf } from './helpers/manifest.ts'
import type { ManifestVolume } from './helpers/manifest.ts'
import { codePageOf, findVolume, rulesOf } from './helpers/match.ts'

// Gigabytes of images are unpacked and read whole.
t.setTimeout(600_000)

/**
 * The manifest's sum of this volume was taken at another moment than the image: putting the stripes together by hand
 * (64 KiB from extent 34 of the first disk, then from extent 24 of the second, and so on) gives this one.
 */
const OTHER_RAW_SHA256: Readonly<Record<string, string>> = {
  'vg-main/striped': 'c50af0a6959f67b1fb2d95172557d562f938bf6378170c9f3929ba8b260aac7c',
}

t.test('images of ../shared', { skip: imagesSkip }, async t => {
  for (const row of imageRows()) {
    if (process.env['GRANARY_IMAGES'] !== undefined && !row.name.match(process.env['GRANARY_IMAGES'])) continue
    t.test(`${row.name} is what its manifest says`, async t => {
      await using image = await unpack(row.disks.map(disk => disk.file))
      await using set = await openVolumes(image.disks)
      for (const wanted of readManifest(row).volumes) {
        const volume = findVolume(set.volumes, wanted)
        const name = `${wanted.id} ${JSON.stringify(wanted.source)}`
        if (volume === undefined) t.fail(`${name} is not there`, { found: set.volumes.map(({ id }) => id) })
        else await compareVolume(t, volume, wanted, name)
      }
    })
  }
})

const compareVolume = async (t: Test, volume: Volume, wanted: ManifestVolume, name: string): Promise<void> => {
  if (wanted.source.size !== undefined) t.equal(volume.sizeBytes, wanted.source.size, `${name}: size`)
  if (wanted.lv_size !== undefined) t.equal(volume.sizeBytes, wanted.lv_size, `${name}: size`)
  if (wanted.raw_sha256 !== undefined) {
    const expected = OTHER_RAW_SHA256[wanted.source.lv ?? ''] ?? wanted.raw_sha256
    t.equal(await hashOf(volume.disk, 0, volume.sizeBytes), expected, `${name}: content of the volume`)
  }
  const reasons: Readonly<Record<string, string>> = {
    swap: 'swap',
    encrypted: 'encrypted',
    unknown: 'empty',
    'nothing-found': 'empty',
  }
  t.equal(volume.whyNot?.reason, reasons[wanted.expect], `${name}: whether it can be read`)
  if (wanted.entries === undefined) return
  await using tree = await volume.open(codePageOf(wanted))
  const found = await differences(tree, wanted, rulesOf(volume, wanted))
  t.strictSame(found.slice(0, 10), [], `${name}: ${found.length} differences`)
  t.strictSame(tree.warnings, [], `${name}: no warnings`)
}
