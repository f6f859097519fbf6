// Runs cdk-nag's HIPAA rules on a plain CloudFormation template: node nag.js TEMPLATE FOLDER. The folder gets validation-report.json.
// Paths of modules are those of the working directory, in which npm has installed them.

const { createRequire } = require('node:module');
const load = createRequire(`${process.cwd()}/`);
const { App, Stack, Validations } = load('aws-cdk-lib');
const { CfnInclude } = load('aws-cdk-lib/cloudformation-include');
const { HIPAASecurityChecks } = load('cdk-nag');

const [templateFile, outdir] = process.argv.slice(2);
const app = new App({ analyticsReporting: false, outdir });
new CfnInclude(new Stack(app, 'lhcms'), 'template', { templateFile });
Validations.of(app).addPlugins(new HIPAASecurityChecks(app));
try {
  app.synth();
} catch (error) {
  // Findings end the synthesis, after the report has been written.
  if (!/validation/i.test(error.message)) throw error;
}
