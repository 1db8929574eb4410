/** Shows the service's contract with Swagger UI. */

const { SwaggerUIBundle } = /** @type {any} */ (globalThis); // flasgger's own, loaded before this module
const place = /** @type {HTMLElement} */ (document.getElementById("swagger-ui"));

/** A plugin of Swagger UI: what is tagged as a page is opened, not tried out. */
const pagesAreOpened = () => ({
  statePlugins: {
    spec: {
      wrapSelectors: {
        allowTryItOutFor: () => (/** @type {any} */ state, /** @type {string} */ path, /** @type {string} */ method) =>
          !state.getIn(["json", "paths", path, method, "tags"])?.includes("pages"),
      },
    },
  },
});

SwaggerUIBundle({
  url: place.dataset.contract,
  domNode: place,
  deepLinking: true,
  docExpansion: "list",
  validatorUrl: null,
  plugins: [pagesAreOpened],
});
