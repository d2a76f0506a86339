// 1 to 4 vote, as the buttons say; not while somebody writes.
() => {
  document.addEventListener("keydown", (event) => {
    const writes = event.target.matches("input, select, textarea:not([readonly]):not([disabled])");
    if (writes || event.ctrlKey || event.metaKey || event.altKey) return;
    const button = /^[1-4]$/.test(event.key) && document.getElementById(`vote-${event.key}`);
    if (button && !button.disabled) {
      event.preventDefault();
      button.click();
    }
  });
}
