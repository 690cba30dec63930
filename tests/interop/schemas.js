// Checks bodies against JSON Schemas with Ajv. The directory given holds bodies.jsonl, each line
// {"schema": FILE, "body": TEXT}, and the schemas.

const fs = require('fs');
const path = require('path');
const Ajv2020 = require('ajv/dist/2020');

const ajv = new Ajv2020({ strict: true, allowUnionTypes: true, validateFormats: false });
const directory = process.argv[2];
const validators = new Map();
let valid = 0;
for (const line of fs.readFileSync(path.join(directory, 'bodies.jsonl'), 'utf8').split('\n')) {
  if (line === '') continue;
  const { schema, body } = JSON.parse(line);
  if (!validators.has(schema)) {
    const text = fs.readFileSync(path.join(directory, schema), 'utf8');
    validators.set(schema, ajv.compile(JSON.parse(text)));
  }
  const validate = validators.get(schema);
  if (!validate(JSON.parse(body))) {
    console.log(`${schema}: ${ajv.errorsText(validate.errors)}\n${body}`);
    process.exit(1);
  }
  valid += 1;
}
console.log(`${valid} valid by ${validators.size} schemas`);
