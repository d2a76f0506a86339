"""What a cell is asked: text, labels by a head, labels as answers, the control set."""
