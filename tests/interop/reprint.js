// Every line of the file given has to be what JSON.stringify(JSON.parse(line)) gives, byte for byte.

const fs = require('fs');

const lines = fs.readFileSync(process.argv[2]).toString('utf8').split('\n');
let checked = 0;
for (const line of lines) {
  if (line === '') continue;
  const printed = JSON.stringify(JSON.parse(line));
  if (!Buffer.from(printed).equals(Buffer.from(line))) {
    console.log(`came as    ${line}\nis printed ${printed}`);
    process.exit(1);
  }
  checked += 1;
}
console.log(`${checked} the same`);
