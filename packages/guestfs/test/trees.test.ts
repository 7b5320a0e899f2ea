import { readFileSync } from 'node:fs'
import { brotliDecompressSync } from 'node:zlib'
import { memoryDisk } from '@granary/core'
import type { DiskReader } from '@granary/core'
import { diskReaderContract, projectPath } from '@granary/testing'
import t from 'tap'
import { openVolumes } from '../src/index.ts'
import type { FileTree } from '../src/index.ts'
import { fileTreeContract } from './file-tree.contract.ts'
import { kinds } from './helpers/fresh.ts'
import { imageRows, imagesSkip, unpack } from './helpers/images.ts'
import type { UnpackedImage } from './helpers/images.ts'
import { differences } from './helpers/manifest.ts'
import type { ManifestVolume } from './helpers/manifest.ts'

const unpackFixture = (name: string): Uint8Array =>
  brotliDecompressSync(readFileSync(projectPath('packages', 'guestfs', 'test', 'fixtures', name)))

const openOnly = async (disks: readonly DiskReader[]): Promise<FileTree> => {
  const { volumes } = await openVolumes(disks)
  const volume = volumes.find(({ whyNot }) => whyNot === undefined)
  if (volume === undefined) throw new Error('no volume can be read')
  return await volume.open()
}

for (const { name, rules } of kinds.filter(({ isLarge }) => !isLarge)) {
  const image = unpackFixture(`${name}.img.br`)
  t.test(`${name}: the image in fixtures is what the kernel showed`, async t => {
    const wanted = JSON.parse(Buffer.from(unpackFixture(`${name}.json.br`)).toString()) as ManifestVolume
    await using tree = await openOnly([memoryDisk(image)])
    t.equal(tree.fileSystem, name)
    t.strictSame(await differences(tree, wanted, rules), [])
    t.strictSame(tree.warnings, [])
  })

  fileTreeContract(name, async () => await openOnly([memoryDisk(image)]))

  diskReaderContract(
    `largest file of ${name}`,
    async () => {
      const tree = await openOnly([memoryDisk(image)])
      let largest: { disk: DiskReader; sizeBytes: number } | undefined
      for await (const item of tree.walk()) {
        if (item.kind !== 'entry' || item.stat.type !== 'file' || item.stat.sizeBytes > 1 << 20) continue
        if (item.stat.sizeBytes > (largest?.sizeBytes ?? -1))
          largest = { disk: await tree.open(item.node), sizeBytes: item.stat.sizeBytes }
      }
      const content = new Uint8Array(largest?.sizeBytes ?? 0)
      await largest?.disk.read(0, content)
      return { disk: largest?.disk as DiskReader, content }
    },
    { reads: 30 },
  )
}

/** Kinds that can't be made by tools here: the contract is held against images of ../shared. */
const FROM_SHARED = ['exfat-128m']

let unpacked: UnpackedImage[] = []
for (const name of imagesSkip === false ? FROM_SHARED : []) {
  const row = imageRows().find(candidate => candidate.name === name)
  const opening = unpack((row?.disks ?? []).map(({ file }) => file))
  void opening.then(image => (unpacked = [...unpacked, image]))
  fileTreeContract(name, async () => await openOnly((await opening).disks))
}
t.test('kinds held against images of ../shared', { skip: imagesSkip }, async t => t.pass(FROM_SHARED.join(', ')))
t.teardown(async () => {
  for (const image of unpacked) await image[Symbol.asyncDispose]()
})
