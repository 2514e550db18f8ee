// placeholder until the bundles exist
console.log('build: nothing yet');
