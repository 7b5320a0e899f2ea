#!/usr/bin/env node
import { main } from '../dist/src/main.js'

const code = await main(process.argv.slice(2))
// Interrupted, everything is in order by now, but what is still on its way to a reader that has stopped reading would keep us.
if (code > 128) process.exit(code)
process.exitCode = code
