// Tells the browser, and through it a screen reader, which language the page is in; Streamlit says English.

export default function language({ data }) {
  document.documentElement.lang = data;
}
