import { createWriteStream, openSync, writeSync } from 'node:fs'
import { openRawReader } from '@granary/core'
import { openVolumes } from '@granary/guestfs'
import { planIso } from './dist/src/index.js'
import { entriesOfTree } from './dist/src/iso/tree-entries.js'
const disk = await openRawReader(process.argv[2])
const set = await openVolumes([disk])
const v = set.volumes.find(x => x.whyNot === undefined)
const tree = await v.open()
const t0 = Date.now()
const image = await planIso(entriesOfTree(tree, { onError: (p, e) => console.log('walk', p, e.message) }))
console.log(image.sizeBytes, image.files, image.directories, image.changedNames, Date.now() - t0)
const fd = openSync(process.argv[3], 'w')
let n = 0
for await (const piece of image.write()) { writeSync(fd, piece); n += piece.length }
console.log(n, n === image.sizeBytes, image.errors.map(e => [e.path, e.error.message]), Date.now() - t0)
