import fc from 'fast-check'
import t from 'tap'
import { prepareOvf } from '../../src/ovf/prepare-ovf.ts'
import { readOvf } from '../../src/ovf/read-ovf.ts'
import { joinOvfSecrets, splitOvfSecrets } from '../../src/ovf/secrets.ts'
import { decodeXml, encodeXml, parseXml, writeXml } from '../../src/ovf/xml.ts'
import { DISKS, sampleOvf } from './sample-ovf.ts'

const SECRETS = [
  'hunter2',
  'AAAA root@web',
  'secret script',
  'WIN-KEY-1',
  'c2VjcmV0IHBheWxvYWQ=',
  'c2VjcmV0IG9mIGEgc25hcHNob3Q=',
  'dHBtIHN0YXRl',
]

t.test('a document is written back as it was read', async t => {
  t.equal(writeXml(parseXml(sampleOvf())), sampleOvf())
  for (const text of [
    '<a/>',
    '<a x="1 &amp; &#65;">  two\n lines &lt;b&gt; </a>',
    '<?xml version="1.0"?><!-- note: <b> --><a><![CDATA[ <raw> & ]]><b/> tail</a>',
    `<a x='say "it"'/>`,
  ]) {
    const once = writeXml(parseXml(text))
    t.equal(writeXml(parseXml(once)), once)
    t.equal(once, text.replace(`'say "it"'`, '"say &quot;it&quot;"'))
  }
})

t.test('any value survives encoding, in attributes and in text', async t => {
  await t.resolves(
    fc.assert(
      fc.asyncProperty(fc.string({ unit: 'binary' }), async value => {
        t.equal(decodeXml(encodeXml(value)), value)
      }),
      { seed: 20261127, numRuns: 300 },
    ),
  )
  t.equal(
    decodeXml('&#x41;&#66;&amp;lt; &unknown; &#0; &#xD800; &#x110000;'),
    'AB&lt; &unknown; &#0; &#xD800; &#x110000;',
  )
})

t.test('hostile documents are refused', async t => {
  const nested = (depth: number): string => '<a>'.repeat(depth) + '</a>'.repeat(depth)
  for (const [text, code] of [
    ['<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', 'GRANARY_CORRUPT'],
    ['<!doctype a SYSTEM "file:///etc/passwd"><a/>', 'GRANARY_CORRUPT'],
    [nested(1000), 'GRANARY_CORRUPT'],
    ['<a><b></a></b>', 'GRANARY_CORRUPT'],
    ['<a', 'GRANARY_CORRUPT'],
    ['', 'GRANARY_CORRUPT'],
    [`<a>${' '.repeat(33 * 1024 ** 2)}</a>`, 'GRANARY_LIMIT'],
  ] as const)
    t.throws(() => parseXml(text), { code }, text.slice(0, 40))
  t.doesNotThrow(() => parseXml(nested(60)))
  t.throws(() => parseXml('<a __proto__="1"/>'), { code: 'GRANARY_CORRUPT' })
  t.throws(() => parseXml('<constructor/>'), { code: 'GRANARY_CORRUPT' })
})

t.test('mutated documents end in an error of ours or in a tree', async t => {
  const bytes = sampleOvf()
  await t.resolves(
    fc.assert(
      fc.asyncProperty(
        fc.nat(bytes.length - 1),
        fc.nat(bytes.length),
        fc.string({ maxLength: 8 }),
        async (at, cut, junk) => {
          const text = bytes.slice(0, at) + junk + bytes.slice(Math.min(at + (cut % 12), bytes.length))
          try {
            joinOvfSecrets(splitOvfSecrets(text))
          } catch (error) {
            t.match(error, { name: 'GranaryError' })
          }
        },
      ),
      { seed: 5, numRuns: 400 },
    ),
  )
})

t.test('an error never quotes the document', async t => {
  for (const text of ['<a rootPassword="hunter2"><b></a>', '<a b="hunter2" b="hunter2"/>', '<a rootPassword=hunter2/>'])
    try {
      parseXml(text)
      t.fail('it was read')
    } catch (error) {
      t.match(error, { code: 'GRANARY_CORRUPT' })
      t.notMatch(String(error), 'hunter2')
    }
})

t.test('what an OVF says', async t => {
  t.same(readOvf(sampleOvf()), {
    vmId: 'a0000000-0000-0000-0000-000000000001',
    name: 'web',
    disks: DISKS,
    externalData: ['tpm', 'nvram'],
  })
  t.throws(() => readOvf('<Envelope/>'), { code: 'GRANARY_CORRUPT', hint: /without its OVF/ })
})

t.test('secrets are taken out and put back', async t => {
  const split = splitOvfSecrets(sampleOvf())
  for (const secret of SECRETS) {
    t.notMatch(split.xml, secret)
    t.ok(sampleOvf().includes(secret), 'the check can fail')
  }
  t.match(split.xml, 'ovf:hostname="web"')
  t.same(readOvf(split.xml).externalData, ['tpm', 'nvram'])
  t.equal(joinOvfSecrets(split), sampleOvf())
  t.throws(() => joinOvfSecrets({ xml: '<a/>', secrets: split.secrets }), { code: 'GRANARY_CORRUPT' })
})

t.test('a new machine takes neither disks, MACs, users nor snapshots of the old one', async t => {
  const vmId = '11111111-2222-3333-4444-555555555555'
  const xml = prepareOvf(sampleOvf(), { vmId, name: 'web_1' })
  t.match(readOvf(xml), { vmId, name: 'web_1', disks: [], externalData: ['tpm', 'nvram'] })
  for (const gone of [
    '56:6f:00:00:00:01',
    'd0000000-',
    'e0000000-',
    'VmLease',
    'VmConfiguration',
    'hunter2',
    'a0000000-',
  ])
    t.notOk(xml.includes(gone), gone)
  for (const kept of ['watchdog', 'dHBtIHN0YXRl', '<BiosType>3', 'a &amp; b', '2 virtual cpu'])
    t.ok(xml.includes(kept), kept)
  t.match(xml, '<DeleteProtected>false</DeleteProtected>')
  t.match(xml, '<AutoStartup>false</AutoStartup>')
  t.match(prepareOvf(sampleOvf(), { vmId, name: 'web', withInitialization: true }), 'hunter2')
})
